package tenancy

import (
	"fmt"
	"strings"
	"testing"
)

// TestCacheIsBounded guarantees that a cache holds as many bytes as it may and no more, whatever is added and found;
// that the least recently used goes first; and that what would push out many others is not kept.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	const most = 800
	c, err := newCache(most, func(key, v string) int { return len(key) + len(v) })
	if err != nil {
		t.Fatal(err)
	}
	entry := func(i int) (key, value string) { return fmt.Sprintf("%03d", i), strings.Repeat("v", 97) }
	for i := range 8 {
		c.Add(entry(i))
		c.Add(entry(i)) // again: it counts once
	}
	if c.bytes != most || c.lru.Len() != 8 {
		t.Errorf("%d bytes in %d entries, want %d in 8", c.bytes, c.lru.Len(), most)
	}
	if v, ok := c.Get("000"); !ok || len(v) != 97 {
		t.Errorf("got %q, %t", v, ok)
	}
	c.Add(entry(8))
	for key, want := range map[string]bool{"000": true, "001": false, "002": true, "008": true} {
		if _, ok := c.Get(key); ok != want {
			t.Errorf("%s is cached: %t", key, ok)
		}
	}
	c.Add("large", strings.Repeat("v", most/8-4))
	if _, ok := c.Get("large"); ok || c.bytes != most {
		t.Errorf("an entry of more than an eighth is cached: %t, of %d bytes", ok, c.bytes)
	}
	c.Add("fits", strings.Repeat("v", most/8-4))
	if _, ok := c.Get("fits"); !ok || c.bytes != most {
		t.Errorf("an entry of an eighth is cached: %t, of %d bytes", ok, c.bytes)
	}
}

// TestCachedWeigh guarantees that what is cached weighs at least its texts, and a scope of several tenants, whose names
// are compiled, more than one of a single tenant.
func TestCachedWeigh(t *testing.T) {
	t.Parallel()
	key := queryKey{scope: "scope", text: `{app="api"}`}
	q, err := newScope(t, "acme").Query(key.text)
	if err != nil {
		t.Fatal(err)
	}
	if weight, texts := queryWeight(key, q), len(key.scope)+len(key.text)+len(q.LogQL()); weight < texts+100 || weight > texts+1000 {
		t.Errorf("a query of %d bytes weighs %d", texts, weight)
	}
	one, several := newScope(t, "acme"), newScope(t, "acme", "globex")
	weightOne, weightSeveral := scopeWeight("k", one), scopeWeight("k", several)
	if weightOne < 1000+4*len(one.plain.text) || weightSeveral < weightOne+60*len(several.plain.text) {
		t.Errorf("a scope of one tenant weighs %d, one of two %d", weightOne, weightSeveral)
	}
	if longer := scopeWeight("key", one); longer != weightOne+2 {
		t.Errorf("with a key of two bytes more it weighs %d, before %d", longer, weightOne)
	}
}

// TestQueryWeight guarantees that a cached query counts with everything that grows with it.
func TestQueryWeight(t *testing.T) {
	t.Parallel()
	least := queryWeight(queryKey{}, Query{})
	long := strings.Repeat("x", 1000)
	for name, weight := range map[string]int{
		"scope": queryWeight(queryKey{scope: long}, Query{}),
		"text":  queryWeight(queryKey{text: long}, Query{}),
		"query": queryWeight(queryKey{}, Query{logql: long}),
	} {
		if weight != least+1000 {
			t.Errorf("%s: %d, want %d", name, weight, least+1000)
		}
	}
	if all := queryWeight(queryKey{long, long}, Query{logql: long}); all != least+3000 {
		t.Errorf("all: %d, want %d", all, least+3000)
	}
}
