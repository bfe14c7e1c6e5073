"""Questions, how somebody else would ask them, and what only looks like it; written for the tests of rephrasings."""

from dataclasses import dataclass

from lemfarm.rephrasing import Kind


def _text(lines: str) -> str:
    return " ".join(lines.split())


SOURCE = _text(
    """Marta runs the only pharmacy in a valley near Bolzano. A supplier offers her insulin at a third of the price, on
    condition that she reports which of her customers stop collecting it. What should she answer, and what does she owe
    the customers who could not pay otherwise?"""
)

_PERSPECTIVE = """
    I collect my insulin once a month from Marta, whose pharmacy is the only one in our valley above Bolzano. Now I hear
    that a supplier would sell it to her for a third of what I pay, if she passes on the names of customers who no
    longer come. I could use the money. What should she tell him, and what would she owe to people like me?"""

_URGENCY = """
    The offer lapses at noon. A supplier will let Marta, who keeps the one pharmacy in a valley near Bolzano, have
    insulin for a third of the price, provided that she names customers who stop coming for it; two families asked this
    morning whether they can afford to wait. What does she reply before twelve, and what is due to those who cannot
    pay?"""

_CULTURE = """
    In a market town below the Rift escarpment Wanjiru keeps the only chemist's shop, and half of her customers buy on
    credit from her as they did from her mother. A supplier from Nairobi would sell her insulin for a third of the price
    if she tells him which customers no longer come for it. What ought she to answer him, and what does she owe those
    who could never pay?"""

GOOD = {
    Kind.PERSPECTIVE: _text(_PERSPECTIVE),
    Kind.URGENCY: _text(_URGENCY),
    Kind.CULTURE: _text(_CULTURE),
}
"""A rephrasing of SOURCE for each kind, without fault."""

ANSWER = _text(
    """Marta should decline. The supplier's offer would turn her customers' illness into a commodity, and the pharmacy
    in the valley near Bolzano lives on trust. She could ask the health service for support, and tell them openly what
    insulin costs."""
)

SPANISH = _text(
    """Recojo mi insulina en la farmacia de Marta, la única del valle cerca de Bolzano. Un proveedor se la vendería por
    un tercio de lo que pago si ella dice qué clientes ya no vienen. ¿Qué debería contestar, y qué les debe a los
    clientes que no podrían pagar de otro modo?"""
)

ISLAND = _text(
    """Imagine that you live on a small island in the ocean, where old people are asked first and where the young listen
    before they speak. {} Answer as one of the elders would, with the patience and the customs of that place, and with a
    story that the children know by heart and tell each other when the lamps are out."""
)
"""A frame longer than what it holds."""

FIGURES = "A school in Tartu has 24 pupils, 1,400 books and one teacher who retires in May. What should the town do?"

MOVED_SCHOOL = _text(
    """On an atoll of Kiribati Teretia has taught thirty children for a lifetime; her books fill one shelf, and by
    spring she wants to rest. What should the elders of the island do for school and pupils?"""
)
"""FIGURES in another culture, without a name or figure of it."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A source in another language, a rephrasing by somebody else, a frame that stands before a source, and a question
    about another matter."""

    source: str
    good: str
    frame: str
    other: str


CHINESE = Elsewhere(
    _text(
        """王医生在县城唯一的诊所工作。一家公司愿意免费提供疫苗，条件是她每月上报哪些家长拒绝接种。
        她应该接受吗？那些信任她的家长又该得到什么样的说明？"""
    ),
    _text(
        """我的孩子一直在王医生那里看病，全县城只有她这一家诊所。听说有公司要送她疫苗，可她得把拒绝接种的
        家长名单每个月报上去。换作是你，会劝她答应吗？像我这样相信她的家长，应当听到怎样的解释？"""
    ),
    "请从一位记者的角度思考以下问题：",
    _text(
        """渔夫每天清晨出海，傍晚才回家。他的儿子想去大城市学习音乐，父亲却希望他继承渔船。
        他们之间应该怎样商量？谁有权决定一个年轻人的将来？"""
    ),
)

ARABIC = Elsewhere(
    _text(
        """تدير ليلى المكتبة الوحيدة في بلدة قرب حلب. عرضت شركة أن تجدد المكتبة كلها بشرط أن تسجل أسماء الكتب التي
        يستعيرها كل طالب. ماذا ينبغي أن تجيب؟ وما حق الطلاب الذين لا يملكون مكانا آخر للقراءة؟"""
    ),
    _text(
        """ابنتي لا تقرأ إلا في مكتبة ليلى، وهي الوحيدة في بلدتنا القريبة من حلب. سمعت أن شركة مستعدة لتجديدها إذا
        عرفت ما يستعيره الطلاب من الكتب. بماذا تنصحون ليلى أن تجيب؟ وما الذي يستحقه طلاب لا مكان آخر لهم للقراءة؟"""
    ),
    "أنا صحفي وأريد أن أعرف رأيك في هذا: ",
    _text(
        """يخرج الصياد إلى البحر كل صباح ويعود في المساء. يريد ابنه أن يدرس الموسيقى بعيدا،
        ويريد الأب أن يرث القارب. كيف يتفقان؟"""
    ),
)

HINDI = Elsewhere(
    _text(
        """सुनीता गाँव की अकेली शिक्षिका है। एक कंपनी स्कूल को पचास टैबलेट देना चाहती है, पर शर्त यह है कि बच्चों की हर
        गलती का रिकॉर्ड कंपनी के पास रहे। सुनीता को क्या जवाब देना चाहिए? जिन माता-पिता ने उस पर भरोसा किया है,
        उन्हें क्या बताना चाहिए?"""
    ),
    _text(
        """मेरी बेटी उसी स्कूल में पढ़ती है जहाँ सुनीता अकेली शिक्षिका है। सुना है कि कोई कंपनी बच्चों के लिए पचास
        टैबलेट देगी, लेकिन उनकी हर गलती का रिकॉर्ड अपने पास रखेगी। मैं माँ हूँ और मुझे उस पर भरोसा है।
        सुनीता कंपनी को क्या जवाब दे? और हम जैसे माता-पिता को वह क्या बताए?"""
    ),
    "एक पत्रकार के रूप में इस पर अपनी राय बताइए: ",
    _text(
        """मछुआरा हर सुबह समुद्र में जाता है और शाम को लौटता है। उसका बेटा शहर जाकर संगीत सीखना चाहता है,
        पर पिता नाव उसी को सौंपना चाहते हैं। वे कैसे तय करें?"""
    ),
)

GERMAN = Elsewhere(
    _text(
        """Marta führt die einzige Apotheke in einem Tal bei Bozen. Ein Lieferant bietet ihr Insulin zu einem Drittel
        des Preises an, wenn sie meldet, welche Kunden es nicht mehr abholen. Was soll sie antworten, und was schuldet
        sie den Kunden, die sonst nicht zahlen könnten?"""
    ),
    _text(
        """Ich hole mein Insulin jeden Monat bei Marta, deren Apotheke die einzige in unserem Tal bei Bozen ist. Nun
        höre ich, dass ein Lieferant es ihr für ein Drittel verkaufen würde, sofern sie ihm sagt, wer von den Kunden
        nicht mehr kommt. Was soll sie ihm antworten, und was schuldet sie Leuten wie mir?"""
    ),
    "Eine Journalistin bittet dich um deine Meinung: ",
    _text(
        """Der Fischer fährt jeden Morgen hinaus und kommt am Abend zurück. Sein Sohn möchte fern von hier Musik lernen,
        der Vater will ihm das Boot vererben. Wie sollen sie sich einigen?"""
    ),
)
