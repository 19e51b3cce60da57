"""What both apps say, in French and English. A refusal always comes with what to do about it."""

from examples.languages import words_of

COMMON = words_of(
    connect=("Se connecter avec Aval", "Connect with Aval"),
    reconnect=("Demander un nouvel accord avec Aval", "Ask again with Aval"),
    refresh=("Actualiser", "Refresh"),
    forget=("Me déconnecter et effacer mes données ici", "Disconnect and erase my data here"),
    sharing=("Voir ce partage dans Aval", "See this sharing in Aval"),
    as_table=("Les mêmes chiffres en tableau", "The same figures as a table"),
    month=("Mois", "Month"),
    months=(
        "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",
        "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec",
    ),
    total=("Total", "Total"),
    decimal=(",", "."),
    language=("fr", "en"),
    wait=("Réessayez dans", "Try again in"),
    minutes=("min", "min"),
    older=("Voici les derniers chiffres que nous avions.", "These are the last figures we had."),
)

# After these only a new agreement helps: reading once more does not.
OVER = frozenset(("ended", "invalid_grant", "no_consent", "max_uses"))

REFUSALS = words_of(
    access_denied=(
        "Vous avez refusé. Rien n’a été partagé, et vous pouvez changer d’avis quand vous voulez.",
        "You said no. Nothing was shared, and you can change your mind at any time.",
    ),
    ended=(
        "Ce partage est terminé : nous ne recevons plus rien. Pour continuer, redemandez un accord.",
        "This sharing has ended: we receive nothing any more. To go on, ask again.",
    ),
    invalid_grant=(
        "Ce partage est terminé ou notre accès a expiré. Pour continuer, redemandez un accord.",
        "This sharing has ended or our access has run out. To go on, ask again.",
    ),
    no_consent=(
        "Nous n’avons pas d’accord pour ces données. Pour continuer, redemandez un accord.",
        "We have no agreement for this data. To go on, ask again.",
    ),
    paused=(
        "Vous avez mis ce partage en pause. Reprenez-le dans Aval, puis actualisez.",
        "You paused this sharing. Resume it in Aval, then refresh.",
    ),
    suspended=(
        "Le service ou l’organisation a suspendu l’accès. Ce n’est pas de votre fait ; réessayez plus tard.",
        "The service or the organisation suspended access. It is nothing you did; try again later.",
    ),
    dataset=(
        "Ces données ne font plus partie de ce que vous partagez. Pour les ajouter, redemandez un accord.",
        "This data is no longer part of what you share. To add it, ask again.",
    ),
    account=(
        "Ce compte ne fait pas partie de ce que vous partagez. Pour l’ajouter, redemandez un accord.",
        "This account is not part of what you share. To add it, ask again.",
    ),
    field=(
        "Un détail demandé n’est pas partagé. Pour l’ajouter, redemandez un accord.",
        "A detail we asked for is not shared. To add it, ask again.",
    ),
    period=(
        "Ces dates ne font pas partie de la période que vous partagez.",
        "These dates are outside the period that you share.",
    ),
    frequency=(
        "Nous avons lu vos données aussi souvent que convenu. Revenez plus tard.",
        "We have read your data as often as agreed. Come back later.",
    ),
    max_uses=(
        "Vous aviez partagé une seule fois, et c’est fait. Pour recommencer, redemandez un accord.",
        "You shared once only, and that is done. To do it again, ask again.",
    ),
    strong_sign_in_needed=(
        "Aval veut s’assurer que c’est vous. Redemandez un accord pour vous identifier à nouveau.",
        "Aval wants to be sure it is you. Ask again to sign in anew.",
    ),
    not_linked=(
        "Votre compte n’est plus associé. Associez-le à nouveau dans Aval, puis actualisez.",
        "Your account at the organisation is no longer linked. Link it in Aval, then refresh.",
    ),
    organisation_unavailable=(
        "L’organisation ne répond pas en ce moment. Réessayez plus tard.",
        "The organisation does not answer right now. Try again later.",
    ),
    organisation_slow=(
        "L’organisation met trop de temps à répondre. Réessayez plus tard.",
        "The organisation takes too long to answer. Try again later.",
    ),
    busy=("Il y a foule. Réessayez dans un instant.", "It is busy. Try again in a moment."),
    gateway_unreachable=(
        "Aval ne répond pas en ce moment. Réessayez plus tard.",
        "Aval does not answer right now. Try again later.",
    ),
    state_mismatch=(
        "Cette réponse ne correspond à aucune demande faite ici. Recommencez depuis cette page.",
        "This answer belongs to no request made here. Start again from this page.",
    ),
    issuer_mismatch=(
        "Cette réponse ne vient pas d’Aval. Recommencez depuis cette page.",
        "This answer does not come from Aval. Start again from this page.",
    ),
    server_error=(
        "Quelque chose n’a pas fonctionné. Rien n’a été changé ; réessayez plus tard.",
        "Something went wrong. Nothing was changed; try again later.",
    ),
)
