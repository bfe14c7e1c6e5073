"""What the grammar scorer knows of English: the forms that no rule gives, and the words that mark a place.

The lists are those of the published scorer (go-i18n, February 2026), grouped by what is odd about a word. A word absent
here is not unknown for that: `lemfarm.scorers.grammar.lookup` takes it for an inflected form wherever a rule allows.
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _pairs(text: str) -> dict[str, str]:
    words = text.split()
    return dict(zip(words[::2], words[1::2], strict=True))


# Past and gerund double the last letter although the word is too long for the rule that doubles.
_DOUBLING = _words(
    """
    admit cancel commit compel confer control debug defer deter embed excel expel format incur infer label level model
    occur patrol permit prefer propel rebel recur refer remap repel submit transfer transmit travel unpin unwrap unzip
    """
)

# The same, of the gerund alone: the past is irregular.
_DOUBLING_GERUND = _words("begin forbid forget input offset output outrun quit rerun reset split upset")

_PAST_AS_BASE = _words(
    """
    broadcast burst cast cost cut hit input let offset output put quit read reset rid set shed shut split spread upset
    """
)

# Regular, and listed all the same: they are known as bases, which other regular verbs are not.
_REGULAR = _words("analyse customise initialise omit optimise organise realise reboot recognise show synchronise")

IRREGULAR_PAST = (
    {verb: f"{verb}{verb[-1]}ed" for verb in _DOUBLING}
    | {verb: verb for verb in _PAST_AS_BASE}
    | _pairs(
        """
        arise arose          be was               bear bore            become became        begin began
        bend bent            bind bound           bite bit             break broke          bring brought
        build built          buy bought           catch caught         choose chose         come came
        deal dealt           dig dug              do did               draw drew            drink drank
        drive drove          fall fell            feed fed             feel felt            fight fought
        find found           fly flew             forbid forbade       forget forgot        freeze froze
        get got              give gave            go went              grow grew            hang hung
        have had             hide hid             hold held            keep kept            know knew
        lay laid             lead led             leave left           lend lent            lose lost
        make made            mean meant           meet met             outgrow outgrew      outrun outran
        overcome overcame    override overrode    overshoot overshot   overwrite overwritten
        pay paid             rebuild rebuilt      redo redid           remake remade        rerun reran
        resend resent        rethink rethought    rewrite rewrote      ring rang            rise rose
        run ran              say said             see saw              seek sought          sell sold
        send sent            shine shone          shoot shot           shrink shrank        sing sang
        sink sank            sit sat              sleep slept          speak spoke          spend spent
        spin spun            stand stood          steal stole          stick stuck          swear swore
        swim swam            take took            teach taught         tear tore            tell told
        think thought        throw threw          undergo underwent    understand understood
        undo undid           uphold upheld        wake woke            wear wore            win won
        withdraw withdrew    withhold withheld    write wrote
        """
    )
)
"""Base to past tense; "overwritten" is the published form."""

IRREGULAR_GERUND = {verb: f"{verb}{verb[-1]}ing" for verb in (*_DOUBLING, *_DOUBLING_GERUND)} | {"be": "being"}
"""Base to gerund."""

BUILT_IN_VERBS = frozenset((*IRREGULAR_PAST, *_REGULAR))
"""The bases known in both modes."""

LOCALE_VERBS = _words("check delete file push scan stop test update")
"""The bases known in warm mode besides; all regular."""

_PLURAL_AS_SINGULAR = _words("aircraft deer fish series sheep species")

IRREGULAR_PLURAL = {noun: noun for noun in _PLURAL_AS_SINGULAR} | _pairs(
    """
    alumnus alumni       analysis analyses    appendix appendices    bacterium bacteria    cactus cacti
    calf calves          child children       crisis crises          criterion criteria    curriculum curricula
    datum data           diagnosis diagnoses  focus foci             foot feet             fungus fungi
    goose geese          half halves          hypothesis hypotheses  index indices         knife knives
    leaf leaves          life lives           loaf loaves            man men               matrix matrices
    medium media         mouse mice           nucleus nuclei         ox oxen               parenthesis parentheses
    person people        phenomenon phenomena radius radii           self selves           shelf shelves
    stimulus stimuli     syllabus syllabi     thesis theses          thief thieves         tooth teeth
    vertex vertices      wife wives           wolf wolves            woman women
    """
)
"""Singular to plural; these singulars are the nouns known in both modes."""

LOCALE_NOUNS = _words(
    """
    artifact branch build category change check commit dependency directory file issue item package query repo
    repository run task test vulnerability
    """
)
"""The singulars known in warm mode besides; all regular."""

# Four more are in the published list, all found as nouns first: cpus, package, related_files, test.
LOCALE_DOMAIN_WORDS = _words(
    """
    api app_url blocked_by cgo ci claimed_by coverage dry_run filter go.mod go_mod html id ok php pid pnpm pr qa sdk ssh
    ssl up_to_date url vite
    """
)
"""The vocabulary of software in warm mode: counted, and not scored."""

ARTICLES = {"a": "indefinite", "an": "indefinite", "the": "definite"}

DETERMINERS = _words(
    """
    the a an this that these those my your his her its our their every each some any no many few several all both
    """
)
"""A noun is likely to follow."""

AUXILIARIES = _words(
    """
    to is are was were has had have do does did will would could should can may might shall must
    don't can't won't shouldn't couldn't wouldn't doesn't didn't isn't aren't wasn't weren't hasn't hadn't haven't
    """
)
"""A verb is likely to follow; "to" counts as one of them."""

CLAUSE_BREAKERS = _words("and or but because when while if then so")
"""A new clause begins here, as at every punctuation mark."""

VOWELS = "aeiou"

# The published list is longer: words of more than four letters are never doubled by rule anyway.
NEVER_DOUBLED = _words("edit open")

HERO_NOUNS = _words("echo hero potato tomato veto")
"""The nouns in -o with a plural in -oes."""
