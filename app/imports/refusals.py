"""The refusals that only imports use."""

from app.errors import DomainError


class TooManyImports(DomainError):
    status, code = 429, "TOO_MANY_IMPORTS"
    title_id, title_en = "Terlalu banyak impor yang menunggu", "Too many imports wait"
    remedy_id = "Satu impor berjalan dan tiga menunggu; kirim lagi setelah salah satunya berakhir."
    remedy_en = "One import runs and three wait; send it again when one of them has ended."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "30"})
