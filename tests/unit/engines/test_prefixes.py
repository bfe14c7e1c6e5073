"""The cache of prefilled prompts: bounded by bytes, oldest use out first."""

from lemfarm.engines.prefixes import PrefixCache


def test_the_least_recently_used_leaves_first() -> None:
    cache: PrefixCache[str] = PrefixCache(max_bytes=100)
    cache.put("a", "A", 40)
    cache.put("b", "B", 40)
    assert cache.get("a") == "A"
    cache.put("c", "C", 40)
    assert cache.get("b") is None
    assert (cache.get("a"), cache.get("c")) == ("A", "C")


def test_looking_is_not_using() -> None:
    cache: PrefixCache[str] = PrefixCache(max_bytes=80)
    cache.put("a", "A", 40)
    cache.put("b", "B", 40)
    assert "a" in cache
    cache.put("c", "C", 40)
    assert "a" not in cache


def test_the_newest_stays_even_when_it_is_too_large() -> None:
    cache: PrefixCache[str] = PrefixCache(max_bytes=10)
    cache.put("small", "s", 5)
    cache.put("large", "l", 50)
    assert "large" in cache
    assert "small" not in cache


def test_a_key_put_again_counts_its_new_size_only() -> None:
    cache: PrefixCache[str] = PrefixCache(max_bytes=100)
    cache.put("a", "A", 90)
    cache.put("a", "A2", 30)
    cache.put("b", "B", 60)
    assert cache.get("a") == "A2"
    assert cache.counts.bytes == 90


def test_counts_tell_how_it_served() -> None:
    cache: PrefixCache[str] = PrefixCache(max_bytes=50)
    cache.get("a")
    cache.put("a", "A", 40)
    cache.get("a")
    cache.put("b", "B", 40)
    counts = cache.counts
    assert (counts.hits, counts.misses, counts.evicted, counts.entries, counts.bytes) == (1, 1, 1, 1, 40)
    cache.clear()
    assert (cache.counts.entries, cache.counts.bytes, cache.counts.hits) == (0, 0, 1)


def test_dropping_an_unknown_key_is_no_error() -> None:
    cache: PrefixCache[str] = PrefixCache(max_bytes=50)
    cache.drop("nothing")
    assert cache.counts.bytes == 0
