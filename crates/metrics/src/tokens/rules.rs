//! The rules of the Penn Treebank tokeniser.
//!
//! At each position the rule with the longest match wins; of several, the first in the list.
//! Letters in a pattern match in either case, but inside brackets only in the case given;
//! `{name}` is a class of [`super::alphabet`] or one of [`PARTS`].

/// What a match becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// A token, unchanged.
    Token,
    /// No token.
    Skip,
    /// A token without soft hyphens.
    Word,
    /// A token with LaTeX's closing quotation marks.
    Closing,
    /// A token with LaTeX's opening quotation marks.
    Opening,
    /// A token whose blanks become no-break spaces, which don't separate words.
    Spaced,
    /// A token with brackets replaced by their names.
    Bracketed,
    /// Both [`Action::Spaced`] and [`Action::Bracketed`].
    Phone,
    /// A token with `&amp;` replaced by `&`.
    Ampersand,
    /// Another token.
    Instead(&'static str),
    /// Dashes; three or four become two.
    Dashes,
    /// A fraction of one character, written out.
    Fraction,
    /// A currency sign as written in the treebank.
    Currency,
    /// A token without the match's last characters, which are read again.
    Again(usize),
    /// An abbreviation that ends a sentence: its full stop is also a token.
    Stop,
    /// The same, but a single letter loses its full stop.
    Acronym,
}

/// What must follow the token without being part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    /// Nothing.
    No,
    /// A pattern whose matches all have this many characters.
    Fixed(usize, &'static str),
    /// Any pattern. The token is the longest part of the match after which the rest still
    /// matches the pattern.
    Any(&'static str),
}

/// One rule.
pub(super) struct Rule {
    pub(super) pattern: &'static str,
    pub(super) context: Context,
    pub(super) action: Action,
}

const fn rule(pattern: &'static str, action: Action) -> Rule {
    before(pattern, Context::No, action)
}

const fn before(pattern: &'static str, context: Context, action: Action) -> Rule {
    Rule {
        pattern,
        context,
        action,
    }
}

use Action::*;
use Context::{Any, Fixed};

/// Named patterns; each may use those above it.
pub(super) const PARTS: &[(&str, &str)] = &[
    ("any", r"[\x00-\xFF]"),
    ("blank", r"[ \t{nbsp}{space}]"),
    ("blanks", r"{blank}+"),
    ("newline", r"(\r|\r?\n|{separator}|\x0B|\x0C|{nel})"),
    ("gap", r"({blank}|{newline})"),
    ("gaps", r"{gap}+"),
    (
        "letter",
        r"[A-Za-z{lower}{upper}{longs}{kelvin}{dottedi}{dotlessi}]",
    ),
    ("capital", r"[A-Z{upper}{kelvin}{dottedi}{roman}{circled}]"),
    ("number", r"[0-9{digit}]"),
    (
        "tag",
        r#"<([!?][A-Za-z\-][^>\r\n]*|[A-Za-z][A-Za-z0-9_:.\-]*([ ]+([A-Za-z][A-Za-z0-9_:.\-]*|[A-Za-z][A-Za-z0-9_:.\-]*[ ]*=[ ]*('[^']*'|\"[^\"]*\")))*[ ]*/?|/[A-Za-z][A-Za-z0-9_:.\-]*)[ ]*>"#,
    ),
    ("end", r"{gap}({gap}|{capital}|{tag})"),
    ("accented", r"(&[aeiouAEIOU](acute|grave|uml);)"),
    ("inword", r"({letter}|{accented}|[{shy}{mark}])"),
    (
        "word",
        r"{inword}({inword}|{number})*([.!?]{inword}({inword}|{number})*)*",
    ),
    (
        "numeral",
        r"({number}*([.:,{shy}{thousands}]{number}+)+|{number}+)",
    ),
    ("signed", r"[\-+]?{numeral}"),
    ("apos", r"(['{apostrophe}]|&apos;)"),
    ("aposlike", r"({apos}|[`{left}])"),
    ("hyphenlike", r"[\-_{hyphen}]"),
    ("alnum", r"({letter}|{number})"),
    (
        "thing",
        r"([dDoOlL]{aposlike}{alnum})?{alnum}+({hyphenlike}([dDoOlL]{aposlike}{alnum})?{alnum}+)*",
    ),
    ("firm", r"[A-Z]+(([+&]|&amp;)[A-Z]+)+"),
    (
        "slashed",
        r"[A-Za-z0-9]+(-[A-Za-z]+){0,2}(\\?/[A-Za-z0-9]+(-[A-Za-z]+){0,2}){1,2}",
    ),
    (
        "letters",
        r"([A-Za-z](\.[A-Za-z])+|(Canada|Sino|Korean|EU|Japan|non)-U\.S|U\.S\.-(U\.K|U\.S\.S\.R))",
    ),
    ("acro", r"([A-Za-z]|{letters})"),
    (
        "hyphened",
        r"[A-Za-z0-9][A-Za-z0-9.,{shy}]*(-([A-Za-z0-9{shy}]+|{letters}\.))+",
    ),
    ("short", r"{apos}([msdMSD]|re|ve|ll)"),
    ("nothead", r"[A-Za-z{shy}]*[A-MO-Za-mo-z]{shy}*"),
    ("not", r"n{aposlike}t"),
    ("month", r"Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Sept|Oct|Nov|Dec"),
    ("day", r"Mon|Tue|Tues|Wed|Thu|Thurs|Fri"),
    (
        "state",
        r"Ala|Ariz|[A]z|[A]rk|Calif|Colo|Conn|Ct|Dak|[D]el|Fla|Ga|[I]ll|Ind|Kans?|Ky|[L]a|[M]ass|Md|Mich|Minn|[M]iss|Mo|Mont|Neb|Nev|Okla|[O]re|[P]a|Penn|Tenn|[T]ex|Va|Vt|[W]ash|Wisc?|Wyo",
    ),
    (
        "company",
        r"Inc|Cos?|Corp|Pp?t[ye]s?|Ltd|Plc|Rt|Bancorp|Bhd|Assn|Univ|Intl|Sys",
    ),
    ("measure", r"tel|est|ext|sq"),
    ("degree", r"Jr|Sr|Bros|(Ed|Ph)\.D|Blvd|Rd|Esq"),
    (
        "abbreviation",
        r"({month}|{day}|{state}|{company}|{measure}|{degree}|etc|al|seq|Bldg)\.",
    ),
    (
        "title",
        r"Mr|Mrs|Ms|[M]iss|Drs?|Profs?|Sens?|Reps?|Attys?|Lt|Col|Gen|Messrs|Govs?|Adm|Rev|Maj|Sgt|Cpl|Pvt|Capt|Ste?|Ave|Pres|Lieut|Hon|Brig|Co?mdr|Pfc|Spc|Supts?|Det|Mt|Ft|Adj|Adv|Asst|Assoc|Ens|Insp|Mlle|Mme|Msgr|Sfc",
    ),
    ("office", r"Invt|Elec|Natl|M[ft]g|Dept"),
    (
        "beforename",
        r"([A-Za-z]|{title}|vs|Alex|Wm|Jos|Cie|a\.k\.a|cf|TREAS|Ph|{acro}|{office})",
    ),
    ("beforenumber", r"(ca|figs?|prop|nos?|art|bldg|pp|op)\."),
    (
        "filename",
        r"({inword}|{number})+(\.({inword}|{number})+)*\.(bat|bmp|c|class|cgi|cpp|dll|doc|docx|exe|gif|gz|h|htm|html|jar|java|jpeg|jpg|mov|mp3|pdf|php|pl|png|ppt|ps|py|sql|tar|txt|wav|x|xml|zip)",
    ),
    ("stops", r"\.{3,5}|(\.[ {nbsp}]){2,4}\.|[{nel}{ellipsis}]"),
    (
        "phone",
        r"(\([0-9]{2,3}\)[ {nbsp}]?|(\+\+?)?([0-9]{2,4}[\- {nbsp}])?[0-9]{2,4}[\- {nbsp}])[0-9]{3,4}[\- {nbsp}]?[0-9]{3,5}|((\+\+?)?[0-9]{2,4}\.)?[0-9]{2,4}\.[0-9]{3,4}\.[0-9]{3,5}",
    ),
    ("smiley", r"[<>]?[:;=][\-o*']?[()DPdpO\\{@|\[\]]"),
    (
        "asiansmiley",
        r"[\^x=~<>]\.\[\^x=[^<]*<>\]|[\-\^x=~<>']_[\-\^x=~<>']|\([\-\^x=~<>'][_.]?[\-\^x=~<>']\)|\([\^x=~<>']-[\^x=~<>'`]\)",
    ),
    ("afterword", r"[,;:{comma}]"),
    (
        "opener",
        r"[A]bout|[A]ccording|[A]dditionally|[A]fter|[A]n|[A]|[A]s|[A]t|[B]ut|[E]arlier|[H]e|[H]er|[H]ere|[H]owever|[I]f|[I]n|[I]t|[L]ast|[M]any|[M]ore|[M]r\.|[M]s\.|[N]ow|[O]nce|[O]ne|[O]ther|[O]ur|[S]he|[S]ince|[S]o|[S]ome|[S]uch|[T]hat|[T]he|[T]heir|[T]hen|[T]here|[T]hese|[T]hey|[T]his|[W]e|[W]hen|[W]hile|[W]hat|[Y]et|[Y]ou|{tag}",
    ),
];

/// The rules, in order of precedence.
pub(super) const RULES: &[Rule] = &[
    rule(r"c\+\+|(c|f)#", Token),
    rule("cannot|'twas", Again(3)),
    rule(r"'tis|gonna|gotta|lemme|gimme|wanna", Again(2)),
    rule("{tag}", Spaced),
    rule(r"&(MD|mdash|ndash);|{dash}", Instead("--")),
    rule("&amp;", Ampersand),
    rule(r"&(HT|TL|UR|LR|QC|QL|QR|odq|cdq|#[0-9]+);", Token),
    before("{word}", Any("{short}"), Word),
    before("{nothead}", Any("{not}"), Word),
    rule("{word}", Word),
    rule(
        r"{apos}n{apos}?|[lLdDjJ]{apos}|Dunkin{apos}|somethin{apos}|ol{apos}|{apos}em|[A-HJ-XZn]{aposlike}{letter}{2}{letter}*|{apos}[2-9]0s|{apos}till?|{letter}{letter}*[aeiouyAEIOUY]{aposlike}[aeiouA-Z]{letter}*|{apos}cause|cont'd\.?|nor'easter|c'mon|e'er|s'mores|ev'ry|li'l|nat'l|o{aposlike}o",
        Token,
    ),
    before("y{apos}", Fixed(1, "{letter}"), Token),
    rule(
        r#"https?://[^ \t\n\x0C\r\"<>|(){}]+[^ \t\n\x0C\r\"<>|.!?(){},\-]"#,
        Token,
    ),
    rule(
        r#"((www\.([^ \t\n\x0C\r\"<>|.!?(){},]+\.)+[a-zA-Z]{2,4})|(([^ \t\n\x0C\r\"`'<>|!(){},-_$]+\.)+(com|net|org|edu)))(/[^ \t\n\x0C\r\"<>|()]+[^ \t\n\x0C\r\"<>|.!?(){},\-])?"#,
        Token,
    ),
    rule(
        r#"(&lt;|<)?[a-zA-Z0-9][^ \t\n\x0C\r\"<>|(){}{nbsp}]*@([^ \t\n\x0C\r\"<>|(){}.{nbsp}]+\.)*([^ \t\n\x0C\r\"<>|(){}.{nbsp}]+)(&gt;|>)?"#,
        Token,
    ),
    rule(r"@[a-zA-Z_][a-zA-Z_0-9]*|#{inword}+", Token),
    before("{short}", Fixed(1, "[^A-Za-z]"), Closing),
    before("{not}", Fixed(1, "[^A-Za-z]"), Closing),
    rule(r"{number}{1,2}[\-/]{number}{1,2}[\-/]{number}{2,4}", Token),
    rule("{signed}", Word),
    rule(r"{scriptsign}?({raised}+|{lowered}+)", Token),
    rule(
        r"({number}{1,4}[\- {nbsp}])?{number}{1,4}(\\?/|{slash}){number}{1,4}",
        Spaced,
    ),
    rule("{fraction}", Fraction),
    rule(
        r"-(RRB|LRB|RCB|LCB|RSB|LSB)-|C\.D\.s|pro-|anti-|S(&|&amp;)P-500|S(&|&amp;)Ls|Cap{apos}n|c{apos}est",
        Ampersand,
    ),
    rule("{slashed}", Token),
    rule(r"[A-Z]*\$|#", Token),
    rule("{currency}", Currency),
    before(r"{acro}\.", Any(r"{gaps}({opener}){gap}"), Acronym),
    before(r"(pt[eyEY]|co)\.", Fixed(4, "{blank}(ltd|lim)"), Token),
    before("{beforenumber}", Any(r"{gap}?{number}"), Token),
    before("{abbreviation}", Any("{end}"), Stop),
    before("{abbreviation}", Fixed(2, "{any}{any}"), Token),
    rule("{abbreviation}", Stop),
    rule(r"{beforename}\.", Token),
    before("{beforename}", Fixed(1, "{blank}"), Token),
    before("{acro}", Any("{gap}"), Token),
    before("{filename}", Any("({gap}|[.?!,])"), Token),
    before("{apos}[0-9][0-9]", Any("{gap}"), Token),
    before(r"{word}\.", Fixed(1, "{afterword}"), Word),
    rule("{phone}", Phone),
    before(r#"\"|&quot;"#, Fixed(1, "[A-Za-z0-9$]"), Opening),
    rule(r#"\"|&quot;"#, Closing),
    rule(r"\x7F", Skip),
    rule("<<|>>", Token),
    rule("<|&lt;", Instead("<")),
    rule(">|&gt;", Instead(">")),
    before("{smiley}", Fixed(1, "[^A-Za-z0-9]"), Bracketed),
    rule("{asiansmiley}", Bracketed),
    rule(r"\{", Instead("-LCB-")),
    rule(r"\}", Instead("-RCB-")),
    rule(r"\[", Instead("-LSB-")),
    rule(r"\]", Instead("-RSB-")),
    rule(r"\(", Instead("-LRB-")),
    rule(r"\)", Instead("-RRB-")),
    rule("-+", Dashes),
    rule("{stops}", Instead("...")),
    rule("@+|#+|_+", Token),
    rule(r"\*+|(\\\*){1,3}", Token),
    rule("{afterword}", Token),
    rule(r"[?!]+", Token),
    rule("=", Token),
    rule("/", Token),
    rule("{hyphened}", Word),
    before(r"{hyphened}\.", Fixed(1, "{afterword}"), Word),
    before(r"{thing}\.", Fixed(1, "{afterword}"), Token),
    rule("{thing}", Token),
    before(r"{firm}\.", Fixed(1, "{afterword}"), Ampersand),
    rule("{firm}", Ampersand),
    rule(r"[.%+&~\^|\\{symbol}{circled}{scriptsign}{slash}]", Token),
    before("'", Fixed(2, r"[A-Za-z][^ \t\n\r{nbsp}]"), Opening),
    rule("{short}", Closing),
    rule("{not}", Closing),
    rule("{apos}|''|[`{left}{apostrophe}{quote}]{1,2}", Closing),
    rule(r"[\x00{nothing}]", Skip),
    rule("{blanks}|&nbsp;", Skip),
    rule("{newline}", Skip),
    rule("{any}", Skip),
];
