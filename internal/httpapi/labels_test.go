package httpapi

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/logfence/logfence/internal/loki"
)

// TestNoNames guarantees that data is always there on the native API, and that Loki's own paths respond as Loki does.
func TestNoNames(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	for _, compressed := range []string{"identity", "gzip"} {
		for path, want := range map[string]string{
			"/api/v1/logs/labels": withNoNames, "/api/v1/logs/labels/app/values": withNoNames,
			"/loki/api/v1/labels": noNames, "/loki/api/v1/label/app/values": noNames,
		} {
			r := g.request(http.MethodGet, path, "query", `{app="none"}`)
			r.Header.Set("Accept-Encoding", compressed)
			a := g.send(alphaToken, r)
			text := a.text
			if a.Header.Get("Content-Encoding") == "gzip" {
				text = unzipped(t, text)
			}
			if a.StatusCode != http.StatusOK || strings.TrimSpace(text) != want {
				t.Errorf("%s, %s: %d %s", path, compressed, a.StatusCode, text)
			}
		}
	}
	if a := g.get(alphaToken, "/api/v1/logs/labels"); !strings.Contains(a.text, `"data":["`) {
		t.Errorf("names: %s", a.text)
	}
}

func unzipped(t *testing.T, text string) string {
	t.Helper()
	z, err := gzip.NewReader(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

// TestWithData guarantees that a response keeps every byte unless it is one without names, compressed or not.
func TestWithData(t *testing.T) {
	t.Parallel()
	zipped := func(s string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = io.WriteString(z, s)
		_ = z.Close()
		return b.String()
	}
	long := `{"status":"success","data":["` + strings.Repeat("a", 300) + `"]}`
	for _, tt := range []struct{ name, encoding, body, want, wantEncoding string }{
		{"none", "", noNames + "\n", withNoNames, ""},
		{"none, compressed", "gzip", zipped(noNames + "\n"), withNoNames, ""},
		{"one", "", `{"status":"success","data":["a"]}`, `{"status":"success","data":["a"]}`, ""},
		{"one, compressed", "gzip", zipped(`{"status":"success","data":["a"]}`), zipped(`{"status":"success","data":["a"]}`), "gzip"},
		{"many", "", long, long, ""},
		{"many that compress well", "gzip", zipped(long), zipped(long), "gzip"},
		{"not compressed as it says", "gzip", "no", "no", "gzip"},
	} {
		r := &loki.Response{ContentEncoding: tt.encoding, Length: int64(len(tt.body)), Body: io.NopCloser(strings.NewReader(tt.body))}
		if err := withData(r); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r.Body)
		if string(got) != tt.want || err != nil || r.ContentEncoding != tt.wantEncoding || r.Length != int64(len(tt.want)) {
			t.Errorf("%s: %q of %d bytes, %q, %v", tt.name, got, r.Length, r.ContentEncoding, err)
		}
	}
}
