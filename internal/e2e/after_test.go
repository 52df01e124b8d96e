package e2e

import (
	"bytes"
	"flag"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// afterwards runs the tests of what all others must have left, when those have ended: whatever -run and -skip
// select. They are tests, and not checks of TestMain, so that each is seen to run and to fail by its name.
func afterwards() (ok bool) {
	if flag.Lookup("test.list").Value.String() != "" {
		return true
	}
	selected := selection()
	for _, name := range []string{"test.run", "test.skip"} {
		_ = flag.Set(name, "") // a pattern is what it takes
	}
	return testing.RunTests(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{
		{Name: "TestNoTokenInAnyLog", F: func(t *testing.T) { noTokenInAnyLog(t, selected) }},
		{Name: "TestCachesAreUsed", F: func(t *testing.T) { cachesAreUsed(t, selected) }},
		{Name: "TestEveryOperationIsMet", F: func(t *testing.T) { everyOperationIsMet(t, selected) }},
	})
}

// selection describes which of the tests run; empty: all.
func selection() string {
	var flags []string
	for _, name := range []string{"run", "skip"} {
		if value := flag.Lookup("test." + name).Value.String(); value != "" {
			flags = append(flags, "-"+name+"="+value)
		}
	}
	return strings.Join(flags, " ")
}

// logs is what is kept of the lines that every logfence has logged.
var logs struct {
	sync.Mutex

	lines  int
	tokens []string // lines that hold a token, without it
}

// jwt begins every token of the tests (RFC 7515, section 3.1: the base64url of `{"`).
var jwt = []byte("eyJ")

func noteLine(line []byte) {
	logs.Lock()
	defer logs.Unlock()
	logs.lines++
	if before, _, found := bytes.Cut(line, jwt); found {
		logs.tokens = append(logs.tokens, string(before))
	}
}

// noTokenInAnyLog guarantees that no logfence of the tests has logged a token, or a part of one.
func noTokenInAnyLog(t *testing.T, selected string) {
	logs.Lock()
	defer logs.Unlock()
	if logs.lines == 0 {
		t.Error("no logfence has logged anything")
	}
	for _, before := range logs.tokens {
		t.Errorf("a token is in a log, after %q", before)
	}
	if t.Failed() && selected != "" {
		t.Errorf("only a part of the tests ran: %s", selected)
	}
}

// cacheHits is how often Loki found a key in one of its caches of results.
var cacheHits = regexp.MustCompile(`(?m)^loki_cache_hits\{name="frontend\.(|[a-z-]+-cache\.)embedded-cache"\} (\S+)$`)

// cachesAreUsed guarantees that Loki has served tests from its caches, where the configuration has any: otherwise they have shown
// nothing of these.
func cachesAreUsed(t *testing.T, selected string) {
	if !on.configuration.Cached {
		t.Skipf("in the configuration %s, Loki caches no results", on.configuration.Name)
	}
	caches := cacheHits.FindAllSubmatch(on.metrics, -1)
	for _, cache := range caches {
		t.Logf("%s%s hits", cache[1], cache[2])
		if string(cache[2]) == "0" {
			t.Errorf("nothing was found in the cache frontend.%s", cache[1])
		}
	}
	if len(caches) < 4 {
		t.Errorf("Loki has only %d caches of results", len(caches))
	}
	if t.Failed() && selected != "" {
		t.Errorf("only a part of the tests ran: %s", selected)
	}
}

// everyOperationIsMet guarantees that the tests have seen every operation of the spec respond as it should.
func everyOperationIsMet(t *testing.T, selected string) {
	if testing.Verbose() {
		on.contract.report(t.Output())
	}
	err := on.contract.unmet()
	switch {
	case err != nil && selected != "":
		t.Skipf("only a part of the tests ran: %s\nIn a complete run this would fail:\n%v", selected, err)
	case err != nil:
		t.Error(err)
	}
}
