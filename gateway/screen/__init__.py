"""The consent screen: what a person is shown when an app asks, and how her answer is read.

    gathering   what one screen is about, from the record and the rooms that know people, apps and accounts
    contents    what it says, as JSON            rendering   that as text, and the hash of the text
    seen        the text's hash on its way through her browser and back
    choices     her form, read                   preview     the same screen before anybody is asked
    pages       the doors: show, answer, show again what was agreed to

It decides nothing and writes nothing: the answer goes to `consent.deciding` as one value.
The one invariant: nobody agrees to anything but the page she was shown, and that page can be rendered again.
"""
