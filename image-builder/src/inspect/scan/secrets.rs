//! Private keys and tokens in whatever file. One pass over the bytes finds the words that these begin with; only there a regular
//! expression looks closer.
//!
//! The forms are the issuers' own: RFC 7468, 9580 (keys), RFC 7519 (JWT), and what each service documents of its tokens.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use regex::bytes::Regex;

use super::finding::{Finding, place};

/// The most bytes that a regular expression looks at.
const REACH: usize = 4096;

/// What begins with one of these words and goes on like this.
struct Rule {
    name: &'static str,
    what: &'static str,
    words: &'static [&'static str],
    form: &'static str,
    /// Whether a letter, digit, `-` or `_` just before or behind makes it something else.
    alone: bool,
}

const fn token(name: &'static str, what: &'static str, words: &'static [&'static str], form: &'static str) -> Rule {
    Rule { name, what, words, form, alone: true }
}

const fn key(name: &'static str, what: &'static str, words: &'static [&'static str], form: &'static str) -> Rule {
    Rule { name, what, words, form, alone: false }
}

const RULES: &[Rule] = &[
    // The label, then perhaps headers (RFC 1421), then base64: not the label alone, which each program has that reads such files.
    // `\n` in two characters is a line's end in JSON.
    key(
        "private-key",
        "private key",
        &["-----BEGIN "],
        r"-----BEGIN (?:[A-Z0-9]{2,10} ){0,2}PRIVATE KEY-----(?:\s|\\n|\\r){1,8}(?:[A-Za-z-]{4,20}: [^\r\n]{0,200}\s{1,4}){0,4}[A-Za-z0-9+/]{40}",
    ),
    key(
        "private-key",
        "OpenPGP private key",
        &["-----BEGIN PGP "],
        r"-----BEGIN PGP PRIVATE KEY BLOCK-----\s{1,8}(?:[A-Za-z]{4,20}: [^\r\n]{0,200}\s{1,4}){0,6}[A-Za-z0-9+/]{40}",
    ),
    key(
        "private-key",
        "PuTTY private key",
        &["PuTTY-User-Key-File-"],
        r"PuTTY-User-Key-File-[23]: (?s-u:.){1,2000}Private-Lines: [0-9]+",
    ),
    token("private-key", "age secret key", &["AGE-SECRET-KEY-1"], r"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}"),
    token(
        "private-key",
        "WireGuard private key",
        &["PrivateKey"],
        r"PrivateKey[ \t]{0,8}=[ \t]{0,8}[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=",
    ),
    token("token", "AWS access key", &["AKIA", "ASIA"], r"(?:AKIA|ASIA)[A-Z2-7]{16}"),
    token("token", "GitHub token", &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"], r"gh[pousr]_[A-Za-z0-9]{36}"),
    token("token", "GitHub token", &["github_pat_"], r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
    token("token", "GitLab token", &["glpat-", "gldt-", "glrt-", "glptt-"], r"gl(?:pat|dt|rt|ptt)-[A-Za-z0-9_-]{20,64}"),
    token("token", "Slack token", &["xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-"], r"xox[abprs]-[0-9]{8,14}-[A-Za-z0-9-]{10,200}"),
    token(
        "token",
        "Slack webhook",
        &["hooks.slack.com/services/"],
        r"hooks\.slack\.com/services/T[A-Z0-9]{8,12}/B[A-Z0-9]{8,12}/[A-Za-z0-9]{20,30}",
    ),
    // Headers begin with "alg", "typ", "kid", "enc", "cty": these words are how base64 writes `{"alg":` and so on.
    token(
        "token",
        "JSON web token",
        &["eyJhbGciOi", "eyJ0eXAiOi", "eyJraWQiOi", "eyJlbmMiOi", "eyJjdHkiOi"],
        r"eyJ[A-Za-z0-9_-]{16,2000}\.eyJ[A-Za-z0-9_-]{8,2000}\.[A-Za-z0-9_-]{20,1000}",
    ),
    token("token", "Stripe key", &["sk_live_", "rk_live_"], r"[sr]k_live_[A-Za-z0-9]{24,120}"),
    token("token", "npm token", &["npm_"], r"npm_[A-Za-z0-9]{36}"),
    token("token", "PyPI token", &["pypi-AgEIcHlwaS5vcmc"], r"pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,300}"),
    token("token", "HashiCorp Vault token", &["hvs.", "hvb."], r"hv[sb]\.[A-Za-z0-9_-]{60,300}"),
    token("token", "Azure storage key", &["AccountKey="], r"AccountKey=[A-Za-z0-9+/]{86}=="),
    token("token", "SendGrid key", &["SG."], r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    token("token", "DigitalOcean token", &["dop_v1_", "doo_v1_"], r"do[op]_v1_[a-f0-9]{64}"),
    token("token", "Docker token", &["dckr_pat_"], r"dckr_pat_[A-Za-z0-9_-]{27}"),
];

/// All words, the rule of each, and each rule's form.
struct Engine {
    words: AhoCorasick,
    rules: Vec<usize>,
    forms: Vec<Regex>,
}

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    // A longer word first: "-----BEGIN PGP " is a "-----BEGIN " too.
    let mut words: Vec<(&str, usize)> =
        RULES.iter().enumerate().flat_map(|(index, rule)| rule.words.iter().map(move |word| (*word, index))).collect();
    words.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
    let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(words.iter().map(|(word, _)| word));
    let forms = RULES.iter().map(|rule| Regex::new(&format!("^(?-u:{})", rule.form)));
    Engine {
        words: automaton.unwrap_or_else(|error| unreachable!("fixed words: {error}")),
        rules: words.iter().map(|(_, rule)| *rule).collect(),
        forms: forms.map(|form| form.unwrap_or_else(|error| unreachable!("fixed forms: {error}"))).collect(),
    }
});

/// Looks through a stretch of a file that begins at its byte `from`.
pub(crate) fn look(path: &str, from: u64, window: &[u8]) -> Vec<Finding> {
    let engine = &*ENGINE;
    let mut found = Vec::new();
    for hit in engine.words.find_iter(window) {
        let index = engine.rules[hit.pattern().as_usize()];
        let rule = &RULES[index];
        let rest = &window[hit.start()..window.len().min(hit.start() + REACH)];
        let Some(whole) = engine.forms[index].find(rest) else { continue };
        let end = hit.start() + whole.end();
        if rule.alone
            && (hit.start().checked_sub(1).is_some_and(|before| is_word(window[before]))
                || window.get(end).is_some_and(|byte| is_word(*byte)))
        {
            continue;
        }
        // Amazon's own documentation uses keys that end so.
        if rule.what == "AWS access key" && whole.as_bytes().ends_with(b"EXAMPLE") {
            continue;
        }
        let (why, fix) = match rule.name {
            "private-key" => (
                "anyone who has a device can read it, and act as its owner",
                "remove it, and replace it wherever it is used; devices make their own keys",
            ),
            _ => (
                "anyone who has a device can read it, and use the service in your name",
                "remove it, and revoke it at its issuer; give a device its secrets when it is enrolled",
            ),
        };
        found.push(Finding::new(path, rule.name, rule.what, why, fix).at(place(window, from, hit.start())));
    }
    found
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}
