package loki_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/lokitest"
)

// TestActorPath guarantees how Loki learns whose a request is: each path has as many segments as are configured, of
// characters that mean nothing to Loki; the same callers have the same path, and no others; the subject itself is
// not sent; and no number of tenants makes a long header.
func TestActorPath(t *testing.T) {
	many := make([]string, 64)
	for i := range many {
		many[i] = fmt.Sprintf("tenant-%03d-%s", i, strings.Repeat("x", 100))
	}
	const ann, bob = "https://id.example\nann", "https://id.example\nbob|x|y"
	paths := map[string]string{}
	for _, tt := range []struct {
		levels     int
		tenants    []string
		subject    string
		path, tags string // path without the hash at its end; one that begins with ^ is an expression
	}{
		{0, []string{"alpha"}, ann, "", "Source=logfence,tenant=alpha"},
		{1, []string{"alpha"}, ann, "alpha", "Source=logfence,tenant=alpha"},
		{2, []string{"alpha"}, ann, "alpha|", "Source=logfence,tenant=alpha"},
		{2, []string{"alpha"}, bob, "alpha|", "Source=logfence,tenant=alpha"},
		{2, []string{"alpha"}, "", "alpha|", "Source=logfence,tenant=alpha"},
		{2, []string{"beta", "alpha"}, ann, "alpha+beta|", "Source=logfence,tenant=alpha beta"},
		{2, []string{"a_b.c-D"}, ann, "a_b.c-D|", "Source=logfence,tenant=a_b.c-D"},
		{2, many, ann, "^64-tenants-[0-9a-f]{16}\\|", "^Source=logfence,tenant=64-tenants-[0-9a-f]{16}$"},
	} {
		t.Run(fmt.Sprintf("%d/%.20s/%q", tt.levels, strings.Join(tt.tenants, ","), tt.subject), func(t *testing.T) {
			fake := twoTenants(t)
			c := client(t, loki.Config{URL: fake.URL, ActorLevels: tt.levels})
			a, err := c.IndexStats(t.Context(), loki.RequestOptions{Subject: tt.subject}, scope(t, tt.tenants...).All(), around(noon))
			read(t, a, err)
			path, tags := only(t, fake).Header.Get("X-Loki-Actor-Path"), only(t, fake).Header.Get("X-Query-Tags")
			if !like(tt.path, path, "[0-9a-f]{16}", tt.levels == 2) || !like(tt.tags, tags, "", false) {
				t.Errorf("path %q, tags %q, want %q…, %q", path, tags, tt.path, tt.tags)
			}
			if strings.Count(path, "|") != max(tt.levels-1, 0) || len(path) > 600 || !regexp.MustCompile(`^[A-Za-z0-9._+|-]*$`).MatchString(path) {
				t.Errorf("path %q", path)
			}
			if other, seen := paths[path]; seen && tt.levels == 2 {
				t.Errorf("%q and %q share the path %q", tt.subject, other, path)
			}
			paths[path] = tt.subject
		})
	}
}

// like compares with a text, followed by an expression where there is to be one, or with an expression.
func like(want, got, ending string, ends bool) bool {
	if !strings.HasPrefix(want, "^") {
		want = "^" + regexp.QuoteMeta(want)
		if !ends {
			want += "$"
		}
	}
	if ends {
		want += ending + "$"
	}
	return regexp.MustCompile(want).MatchString(got)
}

// TestActorPathRefused guarantees that a Loki whose queues are less deep than the path that it is sent, which fails every
// query, is recognized at the first one: it is sent again with as many segments as Loki takes, later ones have no more
// from the start, and the operator is told once.
func TestActorPathRefused(t *testing.T) {
	const message = "desired queue level exceeds maxium depth of queue hierarchy: The header X-Loki-Actor-Path with value '%s' would result in a sub-queue which is " +
		"nested %d levels deep, however only %d levels are allowed based on the configuration setting -query-scheduler.max-queue-hierarchy-levels"
	for allowed := range 2 {
		t.Run(fmt.Sprint(allowed), func(t *testing.T) {
			fake, said := twoTenants(t), &bytes.Buffer{}
			behaves := lokitest.New(t)
			fake.Instead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				path := r.Header.Get("X-Loki-Actor-Path")
				if n := strings.Count(path, "|") + 1; path != "" && n > allowed {
					lokitest.Fail(http.StatusInternalServerError, fmt.Sprintf(message, path, n, allowed)).ServeHTTP(w, r)
					return
				}
				behaves.ServeHTTP(w, r)
			}))
			c, err := loki.New(loki.Config{URL: fake.URL, ActorLevels: 2}, loki.WithLogger(slog.New(slog.NewTextHandler(said, nil))))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			for range 3 {
				if err := request(t.Context(), t, c, loki.RequestOptions{Subject: "ann"}); err != nil {
					t.Fatal(err)
				}
			}
			if n := len(fake.Requests()); n != 4 {
				t.Errorf("%d requests for three queries", n)
			}
			if got := c.Stats().ActorLevels; got != allowed {
				t.Errorf("%d levels are sent, want %d", got, allowed)
			}
			if n := strings.Count(said.String(), "X-Loki-Actor-Path"); n != 1 {
				t.Errorf("told %d times: %s", n, said)
			}
		})
	}
}
