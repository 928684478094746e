"""Refusals before a handler is called: too slow, too long, too large, a header that comes twice."""

from app.errors import DomainError


class BodyTooSlow(DomainError):
    status, code = 408, "BODY_TOO_SLOW"
    title_id, title_en = "Isi permintaan datang terlalu lambat", "The body arrived too slowly"
    remedy_id = "Kirim isi permintaan tanpa jeda; ulangi dengan Idempotency-Key yang sama."
    remedy_en = "Send the body without pauses; try again with the same Idempotency-Key."

    def __init__(self) -> None:
        super().__init__(headers={"Connection": "close"})


class HeaderTwice(DomainError):
    status, code = 400, "HEADER_TWICE"
    title_id, title_en = "Tajuk dikirim dua kali", "A header was sent twice"
    remedy_id = "Kirim tajuk pada anggota `header` satu kali."
    remedy_en = "Send the header named in the member `header` once."


class UriTooLong(DomainError):
    status, code = 414, "URI_TOO_LONG"
    title_id, title_en = "Alamat terlalu panjang", "The address is too long"
    remedy_id = "Paling banyak 4096 byte; saring dengan lebih sedikit parameter."
    remedy_en = "At most 4096 bytes; filter by fewer parameters."


class HeadersTooLarge(DomainError):
    status, code = 431, "HEADERS_TOO_LARGE"
    title_id, title_en = "Tajuk permintaan terlalu besar", "The headers are too large"
    remedy_id = "Paling banyak 64 tajuk dan 16 KiB seluruhnya."
    remedy_en = "At most 64 headers and 16 KiB in all."
