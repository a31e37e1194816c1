"""A raw message read by offsets: its headers, parts, envelope and sections, octet for octet.

Nothing here does I/O or holds a message: an ``Indexer`` is fed chunks, and its ``Index`` says
where everything lies. No protocol is known here either.

::

    found = message.index(data)                       # or Indexer: feed(chunk), close()
    found.root.content_type.media                     # b"multipart/mixed"
    [part.encoding for part in found.root.parts]      # Part: header, body, end, lines, parts ...
    message.envelope(found.root.header).subject       # b"Hello", as written
    message.section(found, (2,), SectionText.MIME)    # Section: ranges, size, partial(0, 100)
    message.TextSearch(found, "word", header=True)    # ranges to feed; found
"""

from mailproto.message.addresses import Address, parse_addresses
from mailproto.message.charsets import CharsetDecoder
from mailproto.message.dates import parse_date
from mailproto.message.decoding import TextDecoder, TransferDecoder, decode_words
from mailproto.message.envelopes import Envelope, envelope
from mailproto.message.headers import Field, Header
from mailproto.message.indexing import Index, Indexer, IndexLimits, Part, index
from mailproto.message.mime import ContentType, Disposition, Parameters
from mailproto.message.search import TextSearch, header_contains, sent_date
from mailproto.message.sections import Section, SectionText, find_part, section
from mailproto.message.surrogates import Edit, Rewriter, encode_words, surrogate, unparsed

__all__ = [
    "Indexer",
    "index",
    "Index",
    "IndexLimits",
    "Part",
    "Header",
    "Field",
    "ContentType",
    "Disposition",
    "Parameters",
    "Envelope",
    "envelope",
    "Address",
    "parse_addresses",
    "Section",
    "SectionText",
    "section",
    "find_part",
    "TransferDecoder",
    "CharsetDecoder",
    "TextDecoder",
    "decode_words",
    "parse_date",
    "TextSearch",
    "header_contains",
    "sent_date",
    "surrogate",
    "unparsed",
    "Edit",
    "Rewriter",
    "encode_words",
]
