"""The index of the reference lists: which there are, in both languages, and where."""

from typing import Any

# list: what it holds in Indonesian and in English
LISTS: dict[str, tuple[str, str]] = {
    "access-matrix": ("Siapa boleh melakukan apa", "Who may do what"),
    "channels": ("Tempat pelanggaran terjadi", "Where a violation happens"),
    "clocks": ("Aturan tenggat", "Rules of deadlines"),
    "conditions": ("Syarat dalam prosedur", "Conditions of the procedures"),
    "control_actions": ("Tindakan pengendalian", "Measures of control"),
    "elections": ("Pemilu dan pemilihan", "Elections"),
    "employers": ("Instansi pemerintah", "Government employers"),
    "evidence_kinds": ("Jenis bukti", "Kinds of evidence"),
    "fields": ("Isian tahapan dan kodenya", "Members of a stage, and their codes"),
    "holidays": ("Hari libur dan cuti bersama", "Public holidays and joint leave"),
    "job_levels": ("Jenjang jabatan", "Levels of position"),
    "laws": ("Dasar hukum", "Laws"),
    "legacy_violations": ("Pelanggaran menurut kode lama", "Violations by their older codes"),
    "mandates": ("Pemegang peran menurut masa", "Who fills which role, and when"),
    "parties": ("Pihak yang ikut serta", "The parties"),
    "problems": ("Penolakan dan jalan keluarnya", "Refusals and their remedies"),
    "procedures": ("Prosedur dengan tahapannya", "Procedures and their stages"),
    "provinces": ("Provinsi", "Provinces"),
    "purposes": ("Tujuan melihat identitas", "Purposes for which a person is identified"),
    "regencies": ("Kabupaten dan kota", "Regencies and cities"),
    "report_kinds": ("Jenis laporan", "Kinds of report"),
    "sanction_levels": ("Tingkat hukuman disiplin", "Levels of discipline"),
    "sanctions": ("Jenis hukuman", "Sanctions"),
    "scopes": ("Cakupan token", "Scopes of tokens"),
    "statuses": ("Status kasus", "Statuses of a case"),
    "subject_kinds": ("Kedudukan terlapor", "Kinds of reported person"),
    "violations": ("Bentuk pelanggaran", "Forms of violation"),
}


def rows() -> list[dict[str, Any]]:
    return [
        {"code": name, "name_id": text_id, "name_en": text_en, "href": f"/v1/reference/{name}"}
        for name, (text_id, text_en) in LISTS.items()
    ]
