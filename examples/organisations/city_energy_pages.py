"""The pages City Energy's customers see while they link their account. Its own look; no script."""

from collections.abc import Iterable
from html import escape

from examples.data.energy import Point
from examples.data.people import Person

_STYLE = """
:root{color-scheme:light}*{box-sizing:border-box}
body{font:1.05rem/1.55 Georgia,serif;margin:0;background:#fff7e0;color:#2a2110}
header{background:#b23a00;color:#fff;padding:1rem 1.5rem;font-weight:700;font-size:1.3rem}
main{max-width:30rem;margin:2rem auto;padding:1.5rem;background:#fff;border-top:.4rem solid #ffb200}
label{display:block;margin:.9rem 0 .2rem}input{width:100%;padding:.6rem;font:inherit;border:1px solid #6b5a2e}
button{font:inherit;padding:.6rem 1.2rem;margin:1rem .6rem 0 0;border:2px solid #b23a00;background:#fff;color:#8a2c00}
button.go{background:#b23a00;color:#fff}.wrong{background:#ffe1d6;padding:.6rem;border-left:.3rem solid #b23a00}
:focus-visible{outline:3px solid #004a8f;outline-offset:2px}
"""

_STOPPED = {
    "unknown_client": "L'application qui vous envoie n'est pas connue de City Energy.",
    "request_expired": "Cette demande a expiré. Revenez à l'application et recommencez.",
    "too_many_tries": "Trop d'essais. Revenez à l'application et recommencez.",
}


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="fr"><head><meta charset="utf-8"><title>{title} · City Energy</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><header>City Energy</header><main><h1>{title}</h1>{body}</main></body></html>"
    )


def sign_in(ask: str, *, wrong: bool = False) -> str:
    fault = '<p class="wrong" role="alert">Numéro de client ou mot de passe incorrect.</p>' if wrong else ""
    return _page(
        "Espace client",
        f"""{fault}<p>Votre passerelle Aval demande à relier votre compte City Energy.</p>
<form method="post" action="/oauth/sign-in"><input type="hidden" name="ask" value="{escape(ask)}">
<label for="n">Numéro de client</label><input id="n" name="customer_number" autocomplete="username" required>
<label for="p">Mot de passe</label>
<input id="p" name="password" type="password" autocomplete="current-password" required>
<button class="go">Se connecter</button></form>""",
    )


def approve(ask: str, person: Person, points: Iterable[Point]) -> str:
    places = "".join(f"<li>{escape(p.home.name)}, {escape(p.home.address)}</li>" for p in points)
    return _page(
        "Relier votre compte",
        f"""<p>Bonjour {escape(person.name)}. Aval pourra lire, pour vous :</p>
<ul><li>votre consommation heure par heure, sur 13 mois et à venir</li><li>vos relevés mensuels</li></ul>
<p>pour : </p><ul>{places}</ul><p>Vous pourrez délier votre compte à tout moment depuis Aval.</p>
<form method="post" action="/oauth/approve"><input type="hidden" name="ask" value="{escape(ask)}">
<button name="decision" value="no">Refuser</button><button class="go" name="decision" value="yes">Autoriser</button>
</form>""",
    )


def stopped(code: str) -> str:
    return _page("Impossible de continuer", f"<p>{_STOPPED.get(code, 'La demande ne peut pas aboutir.')}</p>")
