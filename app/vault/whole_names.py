"""The whole name as a search compares it: titles and degrees are set aside, on both sides."""

from collections.abc import Sequence

# `sbt verify` makes the forms anew: another title here makes the rows of before wrong, and needs another kind of row.
TITLES_BEFORE = {
    "dr", "dra", "drs", "drg", "drh", "ir", "prof", "apt", "ners", "ns", "h", "hj", "haji", "hajah", "kh", "ust", "ustadz", "tgk", "pdt",
    "hm", "hi", "tn", "tuan", "ny", "nyonya", "kyai", "kiai", "raden", "rm", "rr", "tni", "polri", "purn", "brigjen", "mayjen", "letjen", "jenderal",
    "kombes", "akbp", "kompol", "akp", "iptu", "ipda", "letkol", "kol", "mayor", "kapten", "bapak", "ibu", "sdr", "sdri", "saudara", "saudari", "alm", "almh", "almarhum",
}  # fmt: skip
DEGREES_BEHIND = {  # without their full stops; none that is a name too (Sastra, Mars)
    "strsos", "strip", "strt", "str", "sipem", "sikom", "sadm", "cgcae", "spd", "spdi", "spdsd", "sh", "shi", "se", "sei", "st", "sp", "spt", "spi", "ssos", "sos", "skom", "skep", "skeb", "skm", "ssi", "sag", "sip", "sstp", "stp",
    "ssit", "ssn", "ss", "sth", "strkes", "strkeb", "strkep", "sked", "skpm", "sap", "sak", "sfarm", "spsi", "shut", "sgz",
    "mpd", "mpdi", "mh", "mhi", "mhum", "mm", "msi", "mkes", "mkm", "map", "mt", "mp", "mag", "msc", "ma", "mkom", "mkn", "mak", "me",
    "mti", "mtr", "magr", "mcs", "mem", "mfarm", "mpsi", "mba", "mph", "phd", "amd", "amdkeb", "amdkep", "ama", "amapd", "ners", "apt", "ipm", "ak", "ca", "cpa",
    "dr", "bsc", "ba", "bba", "llm", "sppd", "spog", "spa", "spb", "pns", "asn",
}  # fmt: skip
TITLE_WORDS, DEGREE_WORDS = 2, 3  # in so many words full stops may break one: K.H. is "k h", S.Pd.I is "s pd i"


def whole_name(words: Sequence[str]) -> str:
    """Returns the letters of a name in one piece, in lower case.
    `words`: of the name, as persons.words() gives them. A name of titles alone stays as it is.
    """
    left = list(words)
    while taken := _title_at_start(left):
        del left[:taken]
    while taken := _degree_at_end(left):
        del left[-taken:]
    return "".join(left or words)


def _title_at_start(words: Sequence[str]) -> int:
    """How many words at the start are one title."""
    for count in range(TITLE_WORDS, 0, -1):
        if count <= len(words) and "".join(words[:count]) in TITLES_BEFORE:
            return count
    return 0


def _degree_at_end(words: Sequence[str]) -> int:
    """How many words at the end are one degree."""
    for count in range(DEGREE_WORDS, 0, -1):
        if count < len(words) and "".join(words[-count:]) in DEGREES_BEHIND:
            return count
    return 0
