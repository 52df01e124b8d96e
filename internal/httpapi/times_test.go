package httpapi

import (
	"net/http"
	"testing"
)

// TestTimesInMilliseconds guarantees that the native API refuses integers that are neither seconds nor nanoseconds, of every
// operation that takes times, and that Loki's own paths take them as Loki does.
func TestTimesInMilliseconds(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	const query = `{app="api"}`
	for _, tt := range []struct{ path, name, value string }{
		{"query", "start", "1772366400000"},
		{"query", "end", "17723664000000000"},
		{"query", "start", "00000000001"},
		{"export", "start", "1772366400000"},
		{"lines", "end", "1772366400000000"},
		{"labels", "start", "1772366400000"},
		{"query/instant", "time", "1772366400000"},
		{"tail", "start", "1772366400000"},
	} {
		g.loki.Forget()
		refusedAs(t, g.get(alphaToken, "/api/v1/logs/"+tt.path, "query", query, tt.name, tt.value), http.StatusBadRequest, "parameter_invalid", "Milliseconds?")
		if n := len(g.loki.Requests()); n > 0 {
			t.Errorf("%s: %d requests to Loki", tt.path, n)
		}
	}
	for _, value := range []string{"1772362800", "1772362800000000000", "999999999999999999", "1772362800.5", "2026-03-01T11:00:00Z"} {
		if a := g.get(alphaToken, "/api/v1/logs/labels", "start", value, "end", "1772366400"); a.StatusCode != http.StatusOK && a.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s", value, a.StatusCode, a.text)
		}
	}
	if a := g.get(alphaToken, "/loki/api/v1/labels", "start", "1772366400000", "end", "1772366400001"); a.StatusCode != http.StatusOK {
		t.Errorf("Loki's own path: %d %s", a.StatusCode, a.text)
	}
}
