"""The pages City Energy's customers see while they link their account. Its own look; no script."""

from collections.abc import Iterable
from html import escape

from examples.data.energy import Point
from examples.data.people import Person
from examples.languages import words_of

_STYLE = """
:root{color-scheme:light}*{box-sizing:border-box}
body{font:1.05rem/1.55 Georgia,serif;margin:0;background:#fff7e0;color:#2a2110}
header{background:#b23a00;color:#fff;padding:1rem 1.5rem;font-weight:700;font-size:1.3rem}
main{max-width:30rem;margin:2rem auto;padding:1.5rem;background:#fff;border-top:.4rem solid #ffb200}
h1{margin-top:0;line-height:1.25}
label{display:block;margin:.9rem 0 .2rem}input{width:100%;padding:.6rem;font:inherit;border:1px solid #6b5a2e}
button{font:inherit;min-width:8rem;padding:.6rem 1.2rem;margin:1rem .6rem 0 0;border:2px solid #b23a00}
button{background:#b23a00;color:#fff}
button[value=no]::before{content:"✕ " / ""}button[value=yes]::before{content:"✓ " / ""}
.wrong{background:#ffe1d6;padding:.6rem;border-left:.3rem solid #b23a00}
:focus-visible{outline:3px solid #004a8f;outline-offset:2px}
"""

_WORDS = words_of(
    company=("Énergie de la Ville", "City Energy"),
    sign_in=("Espace client", "Customer sign-in"),
    asks=(
        "Aval demande à associer votre compte. Connectez-vous pour voir ce que cela permet.",
        "Aval asks to link your account with us. Sign in to see what that allows.",
    ),
    number=("Numéro de client", "Customer number"),
    password=("Mot de passe", "Password"),
    enter=("Se connecter", "Sign in"),
    wrong=("Numéro de client ou mot de passe incorrect.", "The customer number or the password is not right."),
    link=("Associer votre compte", "Link your account"),
    hello=("Bonjour {name}. Aval pourra lire, pour vous :", "Hello {name}. Aval will be able to read, for you:"),
    usage=(
        "votre consommation heure par heure, sur 13 mois et à venir",
        "your use hour by hour, over 13 months and from now on",
    ),
    statements=("vos relevés mensuels", "your monthly statements"),
    places=("Pour ces lieux :", "For these places:"),
    unlink=(
        "Vous pourrez dissocier votre compte à tout moment depuis Aval.",
        "You can unlink your account at any time, from Aval.",
    ),
    refuse=("Refuser", "Refuse"),
    allow=("Autoriser", "Allow"),
    stopped=("Impossible de continuer", "This cannot go on"),
    cannot=("La demande ne peut pas aboutir.", "The request cannot be completed."),
    unknown_client=(
        "Nous ne connaissons pas l’application qui vous envoie.",
        "We do not know the application that sent you.",
    ),
    request_expired=(
        "Cette demande a expiré. Revenez à Aval et recommencez.",
        "This request has expired. Go back to Aval and start again.",
    ),
    too_many_tries=(
        "Trop d’essais. Revenez à Aval et recommencez.",
        "Too many tries. Go back to Aval and start again.",
    ),
)


def _said(tongue: str) -> dict[str, str]:
    return {key: text[tongue] for key, text in _WORDS.items()}


def _page(tongue: str, title: str, body: str) -> str:
    company = _WORDS["company"][tongue]
    return (
        f'<!doctype html><html lang="{tongue}"><head><meta charset="utf-8"><title>{title} · {company}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><header>{company}</header><main><h1>{title}</h1>{body}</main></body></html>"
    )


def sign_in(ask: str, tongue: str, *, wrong: bool = False) -> str:
    t = _said(tongue)
    fault = f'<p class="wrong" role="alert">{t["wrong"]}</p>' if wrong else ""
    return _page(
        tongue,
        t["sign_in"],
        f"""{fault}<p>{t["asks"]}</p>
<form method="post" action="/oauth/sign-in"><input type="hidden" name="ask" value="{escape(ask)}">
<label for="n">{t["number"]}</label><input id="n" name="customer_number" autocomplete="username" required>
<label for="p">{t["password"]}</label>
<input id="p" name="password" type="password" autocomplete="current-password" required>
<button>{t["enter"]}</button></form>""",
    )


def approve(ask: str, tongue: str, person: Person, points: Iterable[Point]) -> str:
    t = _said(tongue)
    places = "".join(f"<li>{escape(p.home.name)}, {escape(p.home.address)}</li>" for p in points)
    return _page(
        tongue,
        t["link"],
        f"""<p>{t["hello"].format(name=escape(person.name))}</p>
<ul><li>{t["usage"]}</li><li>{t["statements"]}</li></ul>
<p>{t["places"]}</p><ul>{places}</ul><p>{t["unlink"]}</p>
<form method="post" action="/oauth/approve"><input type="hidden" name="ask" value="{escape(ask)}">
<button name="decision" value="no">{t["refuse"]}</button><button name="decision" value="yes">{t["allow"]}</button>
</form>""",
    )


def stopped(code: str, tongue: str) -> str:
    t = _said(tongue)
    return _page(tongue, t["stopped"], f"<p>{t.get(code, t['cannot'])}</p>")


NAME = _WORDS["company"]


def front(tongue: str, _title: str, body: str) -> str:
    """The company's name stands above every page already."""
    return _page(tongue, {"fr": "Bienvenue", "en": "Welcome"}[tongue], body)
