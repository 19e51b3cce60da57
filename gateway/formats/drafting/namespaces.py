"""How the names of XML documents are written in the table: with a prefix for each namespace."""

XS = "{http://www.w3.org/2001/XMLSchema}"
_XML = "http://www.w3.org/XML/1998/namespace"


class PrefixNeeded(Exception):
    """An attribute is of the namespace that goes without a prefix: read again, with one for every namespace."""


class XmlNames:
    """The names of one document. `bare`: there are elements of no namespace, or attributes of one, so none of the
    namespaces can go without a prefix. Raises PrefixNeeded."""

    def __init__(self, *, bare: bool = False) -> None:
        self._bare = bare
        self._prefixes: dict[str, str] = {}  # prefix → namespace
        self._used: set[str] = set()

    @property
    def used(self) -> dict[str, str]:
        """The namespaces that names were written with, by prefix."""
        return {prefix: space for prefix, space in self._prefixes.items() if prefix in self._used}

    def learn(self, prefix: str | None, namespace: str) -> str:
        """The prefix for this namespace: the wanted one, if it is free."""
        known = next((prefix for prefix, space in self._prefixes.items() if space == namespace), None)
        if known is not None:
            return known
        if prefix and prefix.lower().startswith("xml"):  # of XML itself: no declaration may take it
            prefix = "ns"
        wanted = prefix or ("ns" if self._bare else "")
        while wanted in self._prefixes:
            wanted = f"{prefix or 'ns'}{len(self._prefixes)}"
        self._prefixes[wanted] = namespace
        return wanted

    def of(self, tag: str, *, attribute: bool = False) -> str:
        namespace, brace, local = tag[1:].partition("}") if tag[:1] == "{" else ("", "", tag)
        if not brace:
            return local
        if namespace == _XML:
            return f"xml:{local}"
        prefix = self.learn("ns", namespace)
        if attribute and not prefix:  # an attribute without a prefix is of no namespace
            raise PrefixNeeded
        self._used.add(prefix)
        return f"{prefix}:{local}" if prefix else local
