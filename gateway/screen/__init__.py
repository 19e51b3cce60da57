"""The consent screen: what a person is shown when an app asks, and how her answer is read.

    gathering   everything one screen needs, from the consent and from the rooms of people, apps and organisations
    contents    what the screen says, as JSON    rendering   the HTML of it, and the hash of that HTML
    seen        which screen a form was sent from, sealed in the form itself
    choices     what was ticked in the form      preview     the screen for an app's developer, before anybody is asked
    pages       the doors: show the screen, take the answer, show a screen that was agreed to

The room does not decide: an answer goes to `consent.deciding` as one value. It writes nothing itself but the marks of
somebody who has to do something else first (`consent.asking.keep_draft`).
The one invariant: a person agrees only to the screen she was shown, and that screen can be rendered again later.
"""
