package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

var seedStart = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// flat writes streams as sorted text: labels, time, line, metadata.
func flat(streams ...[]Stream) []string {
	var all []string
	for _, s := range slices.Concat(streams...) {
		for _, e := range s.Entries {
			all = append(all, fmt.Sprint(s.Labels, e.Time.UnixNano(), e.Line, e.Metadata))
		}
	}
	slices.Sort(all)
	return all
}

// TestLogsAreAFunctionOfTime guarantees that the same span has the same lines, and its parts no others.
func TestLogsAreAFunctionOfTime(t *testing.T) {
	from, middle, to := seedStart, seedStart.Add(7*time.Minute), seedStart.Add(20*time.Minute)
	whole := flat(Logs(from, to, 1))
	if !slices.Equal(whole, flat(Logs(from, to, 1))) {
		t.Error("the same arguments gave other lines")
	}
	if !slices.Equal(whole, flat(Logs(from, middle, 1), Logs(middle, to, 1))) {
		t.Error("the parts of the span have other lines than the whole")
	}
	if slices.Equal(whole, flat(Logs(from, to, 2))) {
		t.Error("another seed gave the same lines")
	}
}

// TestLogsTellTenantsApart guarantees that each line names its own tenant and no other, so that a leak
// shows in the text, and that there is something to tell apart.
func TestLogsTellTenantsApart(t *testing.T) {
	owners := []string{Alpha, Beta, Platform}
	lines, apps := map[string]int{}, map[string]map[string]bool{Alpha: {}, Beta: {}, Platform: {}}
	labels, levels := map[string]bool{}, map[string]bool{}
	for _, s := range Logs(seedStart, seedStart.Add(time.Hour), 0) {
		owner, ok := s.Labels["tenant_id"]
		if !ok {
			owner = Platform
		}
		apps[owner][s.Labels["app"]] = true
		levels[s.Labels["level"]] = true
		for name := range s.Labels {
			labels[name] = true
		}
		for i, e := range s.Entries {
			lines[owner]++
			for _, name := range owners {
				if strings.Contains(e.Line, name) != (name == owner) {
					t.Errorf("a line of %s: %s", owner, e.Line)
				}
			}
			if e.Metadata["trace_id"] == "" || e.Metadata["pod"] == "" {
				t.Errorf("a line without structured metadata: %+v", e)
			}
			if e.Time.Before(seedStart) || !e.Time.Before(seedStart.Add(time.Hour)) || i > 0 && e.Time.Before(s.Entries[i-1].Time) {
				t.Errorf("a line out of order or outside the span: %s", e.Time)
			}
		}
	}
	if lines[Alpha] < 3000 || lines[Beta] < 3000 || lines[Platform] < 500 {
		t.Errorf("too few lines: %v", lines)
	}
	if !apps[Alpha]["roaster"] || apps[Beta]["roaster"] || !apps[Beta]["tracker"] || apps[Alpha]["tracker"] || len(apps[Alpha]) != 5 {
		t.Errorf("apps: %v", apps)
	}
	for _, want := range []string{"app", "namespace", "env", "level", "tenant_id", "machine", "station"} {
		if !labels[want] {
			t.Errorf("no stream has the label %s", want)
		}
	}
	if len(levels) != 5 { // four, and none at all
		t.Errorf("levels: %v", levels)
	}
	t.Logf("%v lines", lines)
}

// TestTrickle guarantees that each tick brings what happened since the last, once, until the context ends.
func TestTrickle(t *testing.T) {
	l := startLoki(t, LokiOptions{})
	from := time.Now().Add(-time.Minute).Truncate(time.Second)
	ticks := make(chan time.Time)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- Trickle(ctx, l, from, 3, ticks) }()
	for _, after := range []time.Duration{10 * time.Second, 10*time.Second + time.Millisecond, 30 * time.Second} {
		ticks <- from.Add(after)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	want := 0
	for _, s := range Logs(from, from.Add(10*time.Second), 3) {
		want += len(s.Entries)
	}
	got := lines(t, l, "", `{app=~".+"}`, from, from.Add(10*time.Second))
	if len(got) != want || want == 0 {
		t.Errorf("%d lines, want %d", len(got), want)
	}

	l.Kill()
	go func() { ended <- Trickle(t.Context(), l, from, 3, ticks) }()
	ticks <- from.Add(10 * time.Second)
	if err := <-ended; err == nil {
		t.Error("the trickle goes on without Loki")
	}
}
