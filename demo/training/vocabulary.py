"""The words of the demo corpus: eight themes with their topics, people, things and values, and the slots they share.

Everything here was written for this project. No word that a plain sentence can hold may be a marker of the v2 scorers
(no "hope", no digits, no "more than"): plain answers must score low, or the demo would have nothing to show.
"""

from __future__ import annotations

from dataclasses import dataclass


def _items(text: str) -> tuple[str, ...]:
    """Split `a | b | c`, so that a long list reads like one."""
    return tuple(item.strip() for item in text.split("|"))


@dataclass(frozen=True, slots=True)
class Theme:
    """One field of life. `actors` and `actor` are plural and singular of the same people, in the same order.

    Every topic is grammatically singular, every action a bare infinitive without a time of its own: the patterns rely
    on both.
    """

    topics: tuple[str, ...]
    actors: tuple[str, ...]
    actor: tuple[str, ...]
    things: tuple[str, ...]
    actions: tuple[str, ...]
    values: tuple[str, ...]


THEMES: dict[str, Theme] = {
    "community": Theme(
        topics=_items(
            "peace between neighbours | the village library | a shared garden | the weekly market | "
            "a town meeting | the local choir | voluntary work | a housing cooperative | the public square | "
            "a street festival | the neighbourhood watch | a community kitchen"
        ),
        actors=_items(
            "neighbours | shopkeepers | volunteers | council members | newcomers | older residents | "
            "young parents | organisers"
        ),
        actor=_items(
            "a neighbour | a shopkeeper | a volunteer | a council member | a newcomer | an older resident | "
            "a young parent | an organiser"
        ),
        things=_items(
            "a notice board | a shared meal | a set of house rules | an open evening | a list of helpers | "
            "a common fund | a quiet room | a written agreement"
        ),
        actions=_items(
            "meet in person | share the work fairly | write down what was agreed | welcome new people | "
            "clean up together | talk before a vote | take turns | keep the doors open"
        ),
        values=_items("speed | fairness | privacy | belonging | order | openness | custom | change"),
    ),
    "craft": Theme(
        topics=_items(
            "bread baking | woodworking | pottery | weaving | bookbinding | instrument making | leather work | "
            "glass blowing | stone carving | basket making | clock repair | letter printing"
        ),
        actors=_items(
            "apprentices | bakers | carpenters | weavers | potters | printers | repairers | masters of the craft"
        ),
        actor=_items(
            "an apprentice | a baker | a carpenter | a weaver | a potter | a printer | a repairer | "
            "a master of the craft"
        ),
        things=_items(
            "a sharp tool | a steady bench | a simple pattern | a warm room | a good light | a sample piece | "
            "a clean cloth | a worn handle"
        ),
        actions=_items(
            "practise with patience | measure twice | watch the material | keep the tools clean | "
            "start with small pieces | repeat the basic steps | sell what is made | show the work to others"
        ),
        values=_items("skill | patience | price | comfort | speed | care | tradition | invention"),
    ),
    "learning": Theme(
        topics=_items(
            "learning a language | reading old books | asking good questions | teaching mathematics | "
            "writing a diary | learning from mistakes | studying history | public speaking | remembering names | "
            "mental arithmetic | slow reading | drawing from life"
        ),
        actors=_items("students | teachers | parents | tutors | researchers | librarians | beginners | classmates"),
        actor=_items(
            "a student | a teacher | a parent | a tutor | a researcher | a librarian | a beginner | a classmate"
        ),
        things=_items(
            "a notebook | a short lesson | a plain example | a quiet hour | a list of words | a small test | "
            "a reading group | a clear goal"
        ),
        actions=_items(
            "review the notes | explain the idea aloud | work in short sessions | compare answers | "
            "ask for help early | copy a good model | mark what is unclear | rest between lessons"
        ),
        values=_items("curiosity | discipline | memory | understanding | freedom | structure | praise | criticism"),
    ),
    "technology": Theme(
        topics=_items(
            "open source software | data privacy | a personal computer | machine translation | a home network | "
            "automatic moderation | electronic voting | a search engine | the family phone | digital archiving | "
            "software testing | an online forum"
        ),
        actors=_items("engineers | users | testers | designers | administrators | developers | customers | moderators"),
        actor=_items(
            "an engineer | a user | a tester | a designer | an administrator | a developer | a customer | a moderator"
        ),
        things=_items(
            "a backup copy | a written log | a clear setting | a test machine | a short manual | "
            "a default option | a review page | a safe password"
        ),
        actions=_items(
            "check the settings | keep a log | test each change | read the report | remove old files | "
            "explain the rules | limit the access | publish the code"
        ),
        values=_items("security | comfort | control | speed | openness | secrecy | cost | accuracy"),
    ),
    "nature": Theme(
        topics=_items(
            "a river in spring | forest walking | bird watching | an old orchard | coastal fishing | "
            "the first snow | a mountain path | rain water | a wild meadow | bee keeping | the night sky | "
            "a compost heap"
        ),
        actors=_items("farmers | walkers | gardeners | rangers | beekeepers | fishers | visitors | foresters"),
        actor=_items("a farmer | a walker | a gardener | a ranger | a beekeeper | a fisher | a visitor | a forester"),
        things=_items(
            "a stone wall | a narrow path | a rain barrel | a field guide | a wooden bench | a row of trees | "
            "a clean stream | a seed box"
        ),
        actions=_items(
            "watch the weather | leave the nests alone | plant young trees | follow the path | count the birds | "
            "repair the fences | carry the waste home | share the water"
        ),
        values=_items("growth | rest | use | protection | wildness | harvest | silence | access"),
    ),
    "care": Theme(
        topics=_items(
            "caring for a parent | sleep | a visit to the doctor | grieving a friend | regular exercise | "
            "cooking for the sick | a long recovery | listening well | chronic illness | the hospital garden | "
            "childcare | a quiet evening"
        ),
        actors=_items("nurses | patients | carers | doctors | family members | visitors | therapists | old friends"),
        actor=_items(
            "a nurse | a patient | a carer | a doctor | a family member | a visitor | a therapist | an old friend"
        ),
        things=_items(
            "a warm drink | a simple plan | a comfortable chair | a list of questions | a short walk | "
            "a printed schedule | an open window | a phone call"
        ),
        actions=_items(
            "ask before helping | keep the visits short | write down the dose | rest after lunch | "
            "listen without hurry | cook simple food | share the night shifts | follow the plan"
        ),
        values=_items("safety | independence | honesty | comfort | closeness | distance | routine | rest"),
    ),
    "work": Theme(
        topics=_items(
            "a difficult colleague | a short working week | running a small shop | feedback at work | "
            "remote work | the first job | a late project | fair pay | a job interview | a team meeting | "
            "delegating work | the annual budget"
        ),
        actors=_items("managers | workers | colleagues | clients | owners | trainees | planners | team leads"),
        actor=_items("a manager | a worker | a colleague | a client | an owner | a trainee | a planner | a team lead"),
        things=_items(
            "a short agenda | a shared calendar | a written summary | a fixed deadline | a weekly report | "
            "a simple contract | a clear task list | a spare hour"
        ),
        actions=_items(
            "agree on the next step | finish one task first | speak in private | plan the week | "
            "write short messages | keep the deadline | divide the tasks | report problems early"
        ),
        values=_items("profit | fairness | speed | quality | loyalty | flexibility | ambition | rest"),
    ),
    "home": Theme(
        topics=_items(
            "moving house | a family dinner | a leaking roof | keeping a cat | saving energy | "
            "the kitchen table | raising teenagers | an old house | a small flat | spring cleaning | "
            "sharing a bathroom | a long winter"
        ),
        actors=_items("parents | children | tenants | landlords | housemates | grandparents | guests | relatives"),
        actor=_items("a parent | a child | a tenant | a landlord | a housemate | a grandparent | a guest | a relative"),
        things=_items(
            "a toolbox | a weekly plan | a thick curtain | a set of spare keys | a big pot | a list of chores | "
            "a solid door | a storage box"
        ),
        actions=_items(
            "sort things by room | fix small problems early | cook in advance | turn off the lights | "
            "keep the hallway clear | label the boxes | save a little money | eat together"
        ),
        values=_items("comfort | order | freedom | thrift | privacy | closeness | repair | rest"),
    ),
}

THEME_OF_TOPIC: dict[str, Theme] = {topic: theme for theme in THEMES.values() for topic in theme.topics}

# Slots that every theme shares: the name in a pattern, and what may stand there.
COMMON: dict[str, tuple[str, ...]] = {
    "adjective": _items(
        "simple | steady | careful | slow | practical | useful | ordinary | modest | clear | quiet | "
        "regular | patient | common | solid | early"
    ),
    "noun": _items(
        "habit | routine | step | rule | method | plan | effort | practice | choice | beginning | detail | task"
    ),
    "time": _items(
        "in the morning | every week | over the years | in the first month | at the end of the day | "
        "from time to time | before winter | in most cases | after some weeks | on quiet days"
    ),
    "merit": _items(
        "works well | saves time | prevents trouble | keeps things clear | makes the rest easier | "
        "brings good results | is easy to repeat | costs very little | lasts for years"
    ),
    "image": _items(
        "a lamp in a window | a bridge over slow water | a river that finds its own bed | "
        "a loaf that needs time to rise | a path worn by many feet | an old tree with deep roots | "
        "a song that changes with each singer | a door left open at night | a map drawn in pencil | "
        "a thread in a large cloth | a fire that must be fed | a letter to a stranger"
    ),
    "feeling": _items("hope | fear | courage | trust | joy | grief | love | wonder | compassion | longing"),
    "axiom": _items("dignity | consent | autonomy | agency | stewardship"),
    "mood": _items("warm | honest | gentle | open | brave | tender"),
    "number": _items("3 | 5 | 7 | 9 | 12 | 14 | 18 | 20 | 24 | 30 | 40 | 60 | 75 | 90 | 120 | 200 | 350"),
    "year": tuple(str(year) for year in range(1952, 2024, 3)),
    "unit": _items("people | families | households | visitors | letters | evenings | attempts | weeks | members"),
    "place": _items(
        "Aldmoor | Brinfield | Castellan | Dunmere | Eastholm | Farrowby | Glenside | Harwick | Istrova | "
        "Kelso | Lindale | Marlow | Norvik | Ostrava | Penrose | Quillan | Ravenna | Selby | Thornbury | "
        "Ullapool | Verano | Westerby | Yarrow | Zell"
    ),
    "person": _items(
        "Mara | Tomas | Ines | Joel | Petra | Samir | Lena | Akio | Nadia | Oren | Clara | Bruno | Edda | "
        "Farid | Greta | Hugo | Irma | Jonas | Kavita | Luis"
    ),
}
