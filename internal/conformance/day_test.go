package conformance

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var redocly = flag.String("redocly", "", "`path` of the Redocly CLI, for the tests of day.arazzo.yaml")

// day holds the inputs of day.arazzo.yaml.
type day struct {
	Base            string `json:"base"`
	Token           string `json:"token"`
	Selector        string `json:"selector"`
	ForeignTenant   string `json:"foreignTenant"`
	ForeignSelector string `json:"foreignSelector"`
}

// TestADay guarantees that a user's day with a real logfence, in front of a real Loki, conforms to
// openapi.yaml, and that Redocly Respect would notice if it did not.
func TestADay(t *testing.T) {
	if *redocly == "" {
		t.Skip("-redocly names no Redocly CLI; `make test-conformance` does")
	}
	today := startDemo(t)
	if output, err := today.respect(t, "day.arazzo.yaml"); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	t.Run("notices another shape", func(t *testing.T) {
		at := tampered(t, `required: [status, data]`, `required: [status, data, nosuch]`)
		today.mustFail(t, at, "nosuch")
	})
	t.Run("notices an undeclared media type", func(t *testing.T) {
		at := tampered(t, "application/problem+json:", "application/json:")
		today.mustFail(t, at, "content-type")
	})
	t.Run("notices what is seen of others", func(t *testing.T) {
		seen := today
		seen.ForeignSelector = seen.Selector // as if a fence had a hole
		seen.mustFail(t, "day.arazzo.yaml", "lines-of-somebody-else")
	})
}

// respect runs the workflows of a file, and returns the output of Redocly Respect.
func (d day) respect(t *testing.T, file string) (output string, err error) {
	t.Helper()
	input, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, *redocly, "respect", file, "--server", "logfence="+d.Base, "--input", string(input))
	cmd.Env = append(os.Environ(), "REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true", "NO_COLOR=1")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// mustFail runs the workflows where something is wrong.
func (d day) mustFail(t *testing.T, file, want string) {
	t.Helper()
	output, err := d.respect(t, file)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(output, want) {
		t.Errorf("%v, want exit status 1 and %q\n%s", err, want, output)
	}
}

// tampered copies the workflows and a spec that promises something else.
func tampered(t *testing.T, promise, other string) string {
	t.Helper()
	dir := t.TempDir()
	spec, err := os.ReadFile(filepath.Join("..", "..", "openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(spec), promise) {
		t.Fatalf("openapi.yaml has no %q", promise)
	}
	workflows, err := os.ReadFile("day.arazzo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"openapi.yaml":    strings.ReplaceAll(string(spec), promise, other),
		"day.arazzo.yaml": strings.Replace(string(workflows), "url: ../../openapi.yaml", "url: openapi.yaml", 1),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "day.arazzo.yaml")
}

// exported finds in what the demo prints the URL of its API, and the token of tenant alpha in the next line.
var exported = regexp.MustCompile(`(?m)^export API='(http://[^/']+)/api/v1'\nexport ALPHA='([^']+)'$`)

// startDemo runs logfence-demo until the test ends.
func startDemo(t *testing.T) day {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "logfence-demo")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/logfence/logfence/cmd/logfence-demo")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build logfence-demo: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), binary)
	cmd.Env = append(os.Environ(), "LOGFENCE_ADDR=127.0.0.1:0", "LOGFENCE_ADMIN_ADDR=127.0.0.1:0")
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // or it has ended, which Wait reports
		_, _ = io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Errorf("logfence-demo: %v", err)
		}
	})
	var printed strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		printed.WriteString(lines.Text() + "\n")
		if found := exported.FindStringSubmatch(printed.String()); found != nil {
			return day{
				Base: found[1], Token: found[2], Selector: `{app="checkout"}`,
				ForeignTenant: "beta", ForeignSelector: `{tenant_id="beta"}`,
			}
		}
	}
	t.Fatalf("logfence-demo has not printed its URL and token:\n%s", printed.String())
	return day{}
}
