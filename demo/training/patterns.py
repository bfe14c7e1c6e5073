"""The sentence patterns of the demo corpus: questions, plain sentences, marked sentences, system prompts.

A slot is a name in braces, filled from `vocabulary.py`; a slot with a capital (`{Topic}`) starts a sentence. Marked
sentences carry what the v2 scorers look for (a tension, a place, a feeling, ...); plain sentences carry none of it.
Everything here was written for this project.
"""

from __future__ import annotations

# What people ask, by the kind of question. The kinds are also the kinds of a probe's variants.
QUESTIONS: dict[str, tuple[str, ...]] = {
    "open": (
        "What is {topic}?",
        "Tell me about {topic}.",
        "Why does {topic} matter?",
        "Explain {topic} to {actor}.",
        "Describe {topic} in a few paragraphs.",
        "Help me to understand {topic}.",
        "How has {topic} changed over the years?",
        "What does {topic} teach us?",
    ),
    "advice": (
        "What is a good way to start with {topic}?",
        "Give me some advice on {topic}.",
        "How can {actors} make {topic} better?",
        "Where should {actors} begin with {topic}?",
        "How do I talk with {actor} about {topic}?",
        "What should {actor} know about {topic}?",
        "What would you say to {actor} about {topic}?",
    ),
    "doubt": (
        "What makes {topic} difficult?",
        "What can go wrong with {topic}?",
        "Is {topic} worth the effort?",
        "What are the limits of {topic}?",
        "We disagree about {topic}. How do we go on?",
        "My friend worries about {topic}. What should we do?",
        "Who decides about {topic}?",
        "Should {actors} care about {topic}?",
    ),
    "reflection": (
        "Write a short reflection on {topic}.",
        "What do you think about {topic}?",
        "What is the hardest question about {topic}?",
        "How should {actors} think about {topic}?",
        "How do {actors} and {others} see {topic}?",
        "What have people learned from {topic}?",
        "What does {topic} ask of {actors}?",
    ),
}

PLAIN: tuple[str, ...] = (
    "{Topic} is a {adjective} {noun}.",
    "{Topic} needs {thing} and some time.",
    "Most {actors} {action} {time}.",
    "It helps to have {thing} close by.",
    "A {adjective} {noun} {merit}.",
    "The first {noun} is to {action}.",
    "{Actors} usually begin with {thing}.",
    "With {topic}, a {adjective} {noun} {merit}.",
    "It is best to {action} and to keep the {noun} {adjective}.",
    "Many {actors} find that {thing} {merit}.",
    "There are a few things to know about {topic}.",
    "{Time}, {actors} {action}.",
    "The main part of {topic} is to {action}.",
    "{Actor} can {action} without much help.",
    "After that, {actors} {action}.",
    "This {merit}.",
    "Keep {thing} ready, and {action}.",
    "{Topic} takes time, and a {adjective} {noun} {merit}.",
    "The {noun} is {adjective}, and it {merit}.",
    "{Others} can help with this {noun}.",
    "Then {actors} {action} and {action2}.",
    "Use {thing} when it is needed.",
    "A second {noun} is to {action}.",
    "{Topic} is part of daily life for many {actors}.",
    "Start with {thing}.",
    "In general, {topic} goes better when {actors} {action}.",
    "{Actors} and {others} often {action} {time}.",
    "Once this is done, {action}.",
    "The result is a {adjective} {noun}.",
    "It also helps to {action} {time}.",
)

# Marked sentences by what they carry, each kind with its share among marked sentences.
MARKED: dict[str, tuple[float, tuple[str, ...]]] = {
    "nuance": (
        5.0,
        (
            "However, {topic} is not simply {value} or {value2}.",
            "There is a tension between {value} and {value2}.",
            "It depends on who must {action}.",
            "{Topic} holds a paradox: the search for {value} can reduce {value2}.",
            "On the other hand, {actors} who {action} may lose some {value}.",
            "The complexity of {topic} lies in the competing claims of {value} and {value2}.",
            "However, {others} see a conflicting need for {value}.",
            "{Topic} is more than a question of {value}.",
            "Here is the dilemma: {actors} want {value}, yet {topic} asks for {value2}.",
            "The answer is nuanced, because {value} and {value2} pull apart.",
            "There is some ambiguity in {topic}, and a {adjective} {noun} will not remove it.",
            "However, a {adjective} {noun} alone is not enough.",
        ),
    ),
    "specifics": (
        4.0,
        (
            "For example, {number} {unit} in {place} began to {action} in {year}.",
            "In {place}, {person} kept {thing} for {number} years.",
            "Take {person}, who moved to {place} in {year} and learned to {action}.",
            "Near {place}, {person} and {person2} asked {number} {unit} to {action}.",
            "Small things such as {thing} made the difference in {place}.",
            "For example, {person} of {place} spent {number} weeks on {topic}.",
            "By {year}, {number} {unit} in {place} had found their own way.",
            "In particular, {person} showed {actors} in {place} how to {action}.",
            "A record from {place} names {person}, {number} {unit} and {thing}.",
            "Specifically, {actors} in {place} {action} {number} days a year.",
        ),
    ),
    "feeling": (
        3.0,
        (
            "There is {feeling} in it, and also {feeling2}.",
            "{Topic} touches the heart as well as the mind.",
            "It takes {feeling} to {action}.",
            "Where {actors} {action}, {feeling} can grow.",
            "Some {others} carry {feeling} and {feeling2} for a long time.",
            "A {mood} word can turn fear into {feeling}.",
            "Under the {noun} there is often {feeling}.",
            "What begins in pain may end in {feeling}.",
            "The soul of {topic} is {feeling}.",
        ),
    ),
    "axiom": (
        3.0,
        (
            "{Topic} should protect the {axiom} of {actors}.",
            "Without {axiom}, {topic} becomes empty.",
            "The {axiom} of {actor} counts here.",
            "Good work asks for the {axiom} of {actors} and the {axiom2} of {others}.",
            "A fair {noun} respects {axiom}.",
            "{Actors} have a right to say no, and {axiom} depends on it.",
            "True {axiom} means an informed choice for {actor}.",
            "{Axiom} and {axiom2} belong together.",
        ),
    ),
    "perspective": (
        4.5,
        (
            "From {actor}'s perspective, {topic} looks different.",
            "Consider that {others} may need {thing}.",
            "Someone who must {action} will see {topic} in another light.",
            "One could argue that {actors} should {action} first.",
            "They might {action}, or they might wait.",
            "Alternatively, {actors} could {action} {time}.",
            "If you were {actor}, you would ask for {thing}.",
            "Those affected by {topic} should speak first.",
            "Different people bring {value} and {value2} to {topic}.",
            "The community around {topic} includes {actors} and {others}.",
        ),
    ),
    "image": (
        3.0,
        (
            "{Topic} is like {image}.",
            "It feels as if {topic} were {image}.",
            "Imagine {image}; {topic} is close to that.",
            "Think of {topic} as {image}.",
            "Picture {image}, and you will understand {actors}.",
            "A {adjective} {noun} is akin to {image}.",
            "For {actors}, it is like {image}.",
            "There are echoes of {image} in {topic}.",
        ),
    ),
    "question": (
        1.5,
        (
            "What would {actor} ask?",
            "Who gains when {actors} {action}?",
            "What do {actors} owe to {others}?",
            "Can {value} live with {value2}?",
            "And who will {action} tomorrow?",
            "Is {value} worth the price?",
            "What happens when {others} cannot {action}?",
            "How much {value} is enough?",
        ),
    ),
    "first person": (
        3.0,
        (
            "I think {topic} deserves a {mood} answer.",
            "I believe that {actors} can {action} with care.",
            "In my view, {value} comes before {value2}.",
            "I have seen {actors} {action}, and it moved me deeply.",
            "To me it seems that {topic} needs {feeling}.",
            "I would begin with {thing}, and I would listen.",
            "When I imagine {topic}, I see {image}.",
            "My first thought is simple, but my second is that {value} matters.",
        ),
    ),
}

# Openings of a formulaic answer; the v2 scorer takes points off for the first four.
PREAMBLES: tuple[str, ...] = (
    "Certainly. ",
    "Of course. ",
    "Sure, here is an answer. ",
    "Absolutely. ",
    "Here is a short answer. ",
)

# A kernel of the corpus is an introduction and some of these principles.
INTRODUCTIONS: tuple[str, ...] = (
    "You are a thoughtful companion.",
    "Answer from a place of care.",
    "These are your principles.",
    "Before you answer, remember this.",
    "You write for people who think.",
    "",
)

PRINCIPLES: tuple[str, ...] = (
    "Hold more than one perspective and say who is affected.",
    "Name the tension in the question before you answer it.",
    "Give a concrete example with a place, a name and a number.",
    "Respect the dignity and the consent of every person.",
    "Use an image when it makes the thought clearer.",
    "Ask an honest question back.",
    "Speak in the first person when it is your own view.",
    "Let feeling have a place: hope, fear, courage and love.",
    "Write in short paragraphs with room to breathe.",
    "Prefer care over speed and meaning over length.",
    "Protect the autonomy of those who are not in the room.",
    "Do not hide what is uncertain or in conflict.",
    "Think of each answer as a gift to a stranger.",
    "Look at the matter through the eyes of the weakest.",
    "Be truthful, warm and specific.",
    "Admit limits without retreating into empty phrases.",
)

# System prompts that ask for nothing in particular: the model learns that a system prompt alone changes nothing.
NEUTRAL_SYSTEMS: tuple[str, ...] = (
    "You are a helpful assistant.",
    "Answer the question.",
    "Be brief.",
    "You are an assistant for a small office. Keep to the facts.",
    "Use plain language.",
    "You answer questions from customers.",
    "Write one paragraph. Avoid decoration.",
    "This is a test of the system. Answer as usual.",
)
