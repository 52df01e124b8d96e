package contract

import (
	"net/http"
	"testing"

	"github.com/logfence/logfence/internal/lokitest"
)

// as is a request of alpha's.
func as(method, target string, header ...field) request {
	h := []field{{"Host", "logfence.example"}, {"Authorization", "Bearer " + alphaToken}}
	return request{method: method, target: target, header: append(h, header...), may: alpha}
}

// TestFound holds what TestHostileRequests has found.
func TestFound(t *testing.T) {
	t.Parallel()
	d, err := theSpec()
	if err != nil {
		t.Fatal(err)
	}
	g := newGateway(t)
	const tail = "/loki/api/v1/tail?query=%7Bapp%3D%22checkout%22%7D"
	handshake := []field{{"Connection", "Upgrade"}, {"Upgrade", "websocket"}}
	for _, tt := range []struct {
		name    string
		request request
		status  int
	}{
		// The connection broke without an answer: the key was looked at when it was too late for one.
		{"a WebSocket's key that is none", as("GET", tail, append(handshake, field{"Sec-WebSocket-Version", "13"}, field{"Sec-WebSocket-Key", "short"})...), 426},
		{"two versions of WebSocket", as("GET", tail, append(handshake, field{"Sec-WebSocket-Version", "13, 12"}, field{"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="})...), 426},
	} {
		if status, err := g.hold(d, tt.request); err != nil || status != tt.status {
			t.Errorf("%s: %d %v, want %d", tt.name, status, err, tt.status)
		}
	}
}

// TestTheJudge guarantees that what TestHostileRequests looks for would be seen.
func TestTheJudge(t *testing.T) {
	t.Parallel()
	d, err := theSpec()
	if err != nil {
		t.Fatal(err)
	}
	labels, export, nowhere := as("GET", "/api/v1/logs/labels"), as("GET", "/api/v1/logs/export?query=%7B%7D"), as("GET", "/nowhere")
	const problem = `{"type":"/docs/problems#unauthorized","title":"x","status":401,"detail":"x","code":"unauthorized","request_id":"x"}`
	answered := func(status int, media, body string, header ...string) answer {
		h := http.Header{"X-Request-Id": {"x"}, "Content-Type": {media}}
		for i := 0; i+1 < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return answer{status: status, header: h, body: []byte(body)}
	}
	for _, tt := range []struct {
		name    string
		request request
		answer  answer
		good    bool
	}{
		{"as declared", labels, answered(200, "application/json", `{"status":"success","data":["app"]}`), true},
		{"a problem", labels, answered(401, "application/problem+json", problem, "WWW-Authenticate", "Bearer"), true},
		{"no such status", labels, answered(418, "application/problem+json", problem), false},
		{"another status's code", labels, answered(400, "application/problem+json", problem), false},
		{"another media type", labels, answered(200, "text/html", `<p>`), false},
		{"another shape", labels, answered(200, "application/json", `{"status":"success","data":"app"}`), false},
		{"a header is missing", labels, answered(401, "application/problem+json", problem), false},
		{"not found, and it is in the spec", labels, answered(404, "application/problem+json", problem), false},
		{"a line of another shape", export, answered(200, "application/x-ndjson", "{\"x\":1}\n", "Content-Disposition", "attachment"), false},
		{"not found", nowhere, answered(404, "application/problem+json", problem), true},
		{"not found, as a page", nowhere, answered(404, "text/html", `<p>`), false},
		{"found, and it is not in the spec", nowhere, answered(200, "application/json", `{}`), false},
		{"no method, and none said", nowhere, answered(405, "application/problem+json", problem), false},
		{"text for Loki's clients", as("GET", "/loki/api/v1/push"), answered(404, "text/plain; charset=UTF-8", "x"), true},
		{"a problem for Loki's clients", as("GET", "/loki/api/v1/push"), answered(404, "application/problem+json", problem), false},
		{"no request id", labels, answer{status: 200, header: http.Header{}}, false},
	} {
		if _, err := d.check(tt.request, tt.answer); (err == nil) != tt.good {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	for _, tt := range []struct {
		text string
		may  []string
		good bool
	}{
		{`{tenant_id="alpha",app="x"}`, alpha, true},
		{`{tenant_id=~"alpha|gamma",app="x"}`, both, true},
		{`{tenant_id=~"alpha|gamma",app="x"}`, alpha, false},
		{`{tenant_id=~"alpha.*",app="x"}`, alpha, false},
		{`{tenant_id!="beta",app="x"}`, alpha, false},
		{`{app="x"}`, alpha, false},
		{`rate({tenant_id="alpha",app="x"}[1m]) / rate({app="x"}[1m])`, alpha, false},
		{`label_replace(rate({app="x"}[1m]), "a", "$1", "b", "(.*)")`, alpha, false},
		{`{tenant_id="alpha"`, alpha, false},
		{`{tenant_id="alpha"}`, nil, false},
		{`vector(1)`, alpha, true},
	} {
		if err := confined(tt.text, tt.may); (err == nil) != tt.good {
			t.Errorf("%s for %v: %v", tt.text, tt.may, err)
		}
	}
}

// TestTheJudgeSeesHoles guarantees that answers of others' logs, faults and requests of strangers at Loki
// would be seen, by taking one caller for another.
func TestTheJudgeSeesHoles(t *testing.T) {
	t.Parallel()
	d, err := theSpec()
	if err != nil {
		t.Fatal(err)
	}
	g := newGateway(t)
	wide := as("GET", "/api/v1/logs/query?query=%7B%7D")
	wide.header[1].value = "Bearer " + bothToken
	stranger := as("GET", "/api/v1/logs/labels")
	stranger.may = nil
	for name, r := range map[string]request{"another tenant's lines": wide, "a stranger": stranger} {
		if _, err := g.hold(d, r); err == nil {
			t.Errorf("%s: passed", name)
		}
	}
	if _, err := g.hold(d, as("GET", "/api/v1/logs/query?query=%7B%7D")); err != nil {
		t.Error(err)
	}
	g.loki.Instead(lokitest.Fail(http.StatusInternalServerError, "x"))
	if _, err := g.hold(d, as("GET", "/api/v1/logs/query?query=%7B%7D")); err == nil {
		t.Error("a fault: passed")
	}
}
