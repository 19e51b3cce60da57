"""What policies/ says of data and purposes: types of data, their fields, the words for people, and caps.

Read whole, with every fault of every file at once; one hash says which reading it was. It knows no person, no app and
no consent. The consent screen, the list of sharings, the receipt and the access log take their words from here, and the
formats take from here what a field is.

    catalogue   one reading, and what is looked up in it      datasets   types of data, as people read of them
    fields      the same, as formats cut them                 purposes   fixed words, and the most that may be asked
    formats     answers and calls of an organisation          shapes     every member of every type of a format
    made        fields coarser than the data, and answers in place of records: the words, and what each reveals
    scopes      names by which apps ask for data              words      text in every language, faults of files
    sign_ins    how surely and lately she must have signed in

The one invariant: what a page says of a field and what the field lets out stand in one file.
"""

from gateway.catalogue.catalogue import Catalogue
from gateway.catalogue.datasets import Category, Dataset, Field
from gateway.catalogue.formats import Format
from gateway.catalogue.purposes import Caps, Purpose
from gateway.catalogue.scopes import Scope
from gateway.catalogue.sign_ins import SignInNeeded
from gateway.catalogue.words import SENSITIVITIES, CatalogueError, Words

__all__ = [
    "SENSITIVITIES",
    "Caps",
    "Catalogue",
    "CatalogueError",
    "Category",
    "Dataset",
    "Field",
    "Format",
    "Purpose",
    "Scope",
    "SignInNeeded",
    "Words",
]
