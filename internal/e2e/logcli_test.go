package e2e

import (
	"bytes"
	"context"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/demo"
)

// TestLogcli guarantees that Loki's own client works through logfence as it comes, and prints what it
// prints when it queries a Loki with alpha's logs alone.
func TestLogcli(t *testing.T) {
	t.Parallel()
	if on.binaries.Logcli == "" {
		t.Fatal("no logcli")
	}
	for _, w := range on.windows() {
		between := []string{"--from=" + w.start.UTC().Format(time.RFC3339), "--to=" + w.end.UTC().Format(time.RFC3339)}
		for _, c := range []struct {
			name  string
			args  []string
			stdin string
			// unordered output is printed in the order of a map.
			unordered bool
		}{
			{name: "query", args: append([]string{"query", "--limit=50", `{app="checkout"} | json | total > 10`}, between...)},
			{name: "query as raw", args: append([]string{"query", "--limit=50", "--forward", "-o", "raw", `{app=~"oddities|worker"}`}, between...)},
			{name: "query as JSON lines", args: append([]string{"query", "--limit=50", "-o", "jsonl", `{tenant_id=~"alpha|beta", app="gateway"}`}, between...)},
			{name: "query in batches", args: append([]string{"query", "--limit=90", "--batch=20", "-o", "jsonl", `{app="gateway"}`}, between...)},
			{name: "query of samples", args: append([]string{"query", "--step=10m", `sum by (app) (count_over_time({app=~".+"}[10m]))`}, between...)},
			{name: "instant-query", args: []string{
				"instant-query", "--now=" + w.end.UTC().Format(time.RFC3339), `sum by (level) (count_over_time({app="payments"}[` + w.span + `]))`,
			}},
			{name: "labels", args: append([]string{"labels"}, between...)},
			{name: "labels of a name", args: append([]string{"labels", "tenant_id"}, between...)},
			{name: "series", args: append([]string{"series", `{app="checkout"}`}, between...), unordered: true},
			{name: "series analyzed", args: append([]string{"series", "--analyze-labels", `{namespace="shop"}`}, between...), unordered: true},
			{name: "stats", args: append([]string{"stats", `{app="checkout"}`}, between...)},
			{name: "volume", args: append([]string{"volume", `{app=~".+"}`}, between...)},
			{name: "volume by labels", args: append([]string{"volume", "--targetLabels=env,level", "--aggregateByLabels", `{app=~".+"}`}, between...)},
			{name: "volume_range", args: append([]string{"volume_range", "--step=20m", `{app=~".+"}`}, between...)},
			{name: "detected-fields", args: append([]string{"detected-fields", "--line-limit=100", `{app="checkout"}`}, between...), unordered: true},
			{name: "fmt", args: []string{"fmt"}, stdin: `sum by (app)(rate({app="checkout"}|json|total>10[5m]))/2`},
		} {
			t.Run(w.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				token := tokenOf(t, demo.Claims{Tenant: demo.Alpha})
				through, complaint := logcli(t, c.stdin, append([]string{"--addr=" + on.gateway.public, "--bearer-token=" + token}, c.args...)...)
				direct, _ := logcli(t, c.stdin, append([]string{"--addr=" + on.alone.URL()}, c.args...)...)
				if c.unordered {
					through, direct = sortedLines(through), sortedLines(direct)
				}
				if through != direct {
					t.Errorf("logcli %s prints something else through logfence (- directly, + through):\n%s\n%s",
						c.name, diff([]byte(direct), []byte(through)), complaint)
				}
				if strings.TrimSpace(direct) == "" {
					t.Error("it printed nothing")
				}
				if strings.Contains(through, mark) {
					t.Errorf("LEAK: %s", through)
				}
			})
		}
	}
}

// TestLogcliShowsErrors guarantees that what logfence refuses is told by logcli in Loki's own words.
func TestLogcliShowsErrors(t *testing.T) {
	t.Parallel()
	token := tokenOf(t, demo.Claims{Tenant: demo.Alpha})
	for _, tt := range []struct{ token, query, want string }{
		{token, `{app="checkout"`, "parse error at line 1, col 16"},
		{token, `{app="checkout"} | json | total > `, "parse error at line 1"},
		{token[:len(token)-4], `{app="checkout"}`, "token is not valid"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		cmd := exec.CommandContext(ctx, on.binaries.Logcli, "--addr="+on.gateway.public, "--bearer-token="+tt.token, "query", tt.query)
		cmd.Env = []string{"TZ=UTC"}
		said, err := cmd.CombinedOutput()
		cancel()
		if err == nil || !bytes.Contains(said, []byte(tt.want)) {
			t.Errorf("logcli query %s: %v, it says %s; want an error with %q", tt.query, err, said, tt.want)
		}
	}
}

// logcli runs the real client with nothing of our environment.
func logcli(t *testing.T, stdin string, args ...string) (stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, on.binaries.Logcli, append([]string{"--quiet", "--timezone=UTC"}, args...)...)
	cmd.Env = []string{"TZ=UTC"}
	cmd.Stdin = strings.NewReader(stdin)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		t.Errorf("logcli: %v: %s", err, said.Bytes())
	}
	return out.String(), said.String()
}

func sortedLines(s string) string {
	lines := strings.Split(s, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
