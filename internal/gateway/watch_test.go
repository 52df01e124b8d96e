package gateway

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/logfence/logfence/gen/api"
)

var deploy = filepath.Join("..", "..", "deploy")

func readFile(t *testing.T, path ...string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(append([]string{deploy}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// alertExpressions are those of deploy/prometheus/alerts.yaml, by alert.
func alertExpressions(t *testing.T) map[string]string {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	if err := yaml.Unmarshal(readFile(t, "prometheus", "alerts.yaml"), &file); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			all[r.Alert] = r.Expr
		}
	}
	return all
}

// dashboardExpressions are those of deploy/grafana/logfence.json, by where they are.
func dashboardExpressions(t *testing.T) map[string]string {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Title       string
			Description string
			Type        string
			Targets     []struct{ Expr string }
		}
		Templating struct {
			List []struct {
				Name, Type, Definition string
			}
		}
	}
	if err := json.Unmarshal(readFile(t, "grafana", "logfence.json"), &dashboard); err != nil {
		t.Fatal(err)
	}
	// What Grafana fills in.
	fill := strings.NewReplacer("$__rate_interval", "5m", "$__range", "1h", "$job", ".*", "$instance", ".*")
	all := map[string]string{}
	for _, p := range dashboard.Panels {
		if p.Type != "row" && (len(p.Targets) == 0 || p.Description == "") {
			t.Errorf("the panel %s has no expression, or does not say what it shows", p.Title)
		}
		for i, target := range p.Targets {
			all[p.Title+" "+string(rune('A'+i))] = fill.Replace(target.Expr)
		}
	}
	values := regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)
	for _, v := range dashboard.Templating.List {
		if v.Type != "query" {
			continue
		}
		m := values.FindStringSubmatch(v.Definition)
		if m == nil {
			t.Errorf("the variable %s: %q is not known here", v.Name, v.Definition)
			continue
		}
		all["variable "+v.Name] = "sum by (" + m[2] + ") (" + fill.Replace(m[1]) + ")"
	}
	return all
}

// TestWatching guarantees that Prometheus can parse every expression of the alerts and of the dashboard, and
// that each metric, each label and each value of a label in them is one that a running gateway exposes: an
// alert on what is not there never fires.
func TestWatching(t *testing.T) {
	r := runGateway(t)
	r.day()
	w := watcher{exposed: r.metrics(), values: labelValues(t)}
	for kind, expressions := range map[string]map[string]string{"alert": alertExpressions(t), "dashboard": dashboardExpressions(t)} {
		if len(expressions) < 10 {
			t.Errorf("only %d expressions of the %s were found", len(expressions), kind)
		}
		for name, text := range expressions {
			w.check(t, kind+" "+name, text)
		}
	}
}

// labelValues are the values that labels may have, where openapi.yaml and its problems tell.
func labelValues(t *testing.T) map[string][]string {
	t.Helper()
	spec, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	operations := []string{"none"}
	for _, item := range spec.Paths.Map() {
		for _, op := range item.Operations() {
			operations = append(operations, op.OperationID)
		}
	}
	problems, err := os.ReadFile(filepath.Join("..", "..", "internal", "web", "static", "problems.html"))
	if err != nil {
		t.Fatal(err)
	}
	codes := []string{"ok"}
	for _, m := range regexp.MustCompile(`<section id="(\w+)">`).FindAllSubmatch(problems, -1) {
		codes = append(codes, string(m[1]))
	}
	return map[string][]string{"operation": operations, "code": codes}
}

type watcher struct {
	exposed map[string]*dto.MetricFamily
	values  map[string][]string
}

// target are the labels that Prometheus gives whatever it scrapes.
var target = []string{"job", "instance"}

// check holds one expression against what is exposed.
func (w watcher) check(t *testing.T, name, text string) {
	t.Helper()
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		t.Errorf("%s: %v\n%s", name, err, text)
		return
	}
	known := slices.Clone(target)
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		if selector.Name == "up" { // Prometheus's own
			return nil
		}
		family := w.exposed[selector.Name]
		if family == nil {
			t.Errorf("%s: there is no metric %s", name, selector.Name)
			return nil
		}
		known = append(known, labelsOf(family)...)
		for _, m := range selector.LabelMatchers {
			w.checkMatcher(t, name, family, m)
		}
		return nil
	})
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		aggregation, ok := node.(*parser.AggregateExpr)
		if !ok {
			return nil
		}
		for _, label := range aggregation.Grouping {
			if !slices.Contains(known, label) && label != "le" {
				t.Errorf("%s: by %s, which no metric in it has", name, label)
			}
		}
		return nil
	})
}

func (w watcher) checkMatcher(t *testing.T, name string, family *dto.MetricFamily, m *labels.Matcher) {
	t.Helper()
	if m.Name == model.MetricNameLabel || slices.Contains(target, m.Name) {
		return
	}
	if !slices.Contains(labelsOf(family), m.Name) {
		t.Errorf("%s: %s has no label %s", name, family.GetName(), m.Name)
		return
	}
	possible := w.values[m.Name]
	if possible == nil {
		possible = valuesOf(family, m.Name)
	}
	for value := range strings.SplitSeq(m.Value, "|") {
		if !slices.Contains(possible, value) {
			t.Errorf("%s: %s is never %q", name, m.Name, value)
		}
	}
}

func labelsOf(family *dto.MetricFamily) []string {
	names := map[string]bool{}
	for _, m := range family.GetMetric() {
		for _, pair := range m.GetLabel() {
			names[pair.GetName()] = true
		}
	}
	return slices.Collect(maps.Keys(names))
}

func valuesOf(family *dto.MetricFamily, label string) (values []string) {
	for _, m := range family.GetMetric() {
		for _, pair := range m.GetLabel() {
			if pair.GetName() == label {
				values = append(values, pair.GetValue())
			}
		}
	}
	return values
}

// TestFailuresAreAlarming guarantees that every code that is a failure counts in the alert on failures, and on
// the dashboard, also one that is added later.
func TestFailuresAreAlarming(t *testing.T) {
	problems, err := os.ReadFile(filepath.Join("..", "..", "internal", "web", "static", "problems.html"))
	if err != nil {
		t.Fatal(err)
	}
	var failures []string
	for _, m := range regexp.MustCompile(`<section id="(\w+)">\s*<h3>.*<span class="status">5\d\d</span>`).FindAllSubmatch(problems, -1) {
		if string(m[1]) != "not_enabled" { // 501: Loki is configured so, and nothing has failed
			failures = append(failures, string(m[1]))
		}
	}
	slices.Sort(failures)
	alarming := regexp.MustCompile(`code=~"([^"]*)"`)
	for where, text := range map[string]string{
		"the alert LogfenceErrors": alertExpressions(t)["LogfenceErrors"], "the panel Failed": dashboardExpressions(t)["Failed A"],
	} {
		m := alarming.FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("%s has no codes: %s", where, text)
		}
		if got := slices.Sorted(strings.SplitSeq(m[1], "|")); !slices.Equal(got, failures) {
			t.Errorf("%s has\n     %s\nwant %s", where, got, failures)
		}
	}
}

// TestPromtool guarantees the same to Prometheus's own tool, templates and all, where it is installed (Debian
// has it in the package prometheus).
func TestPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("SKIPPED: there is no promtool; apt-get install prometheus has it")
	}
	out, err := exec.CommandContext(t.Context(), promtool, "check", "rules", filepath.Join(deploy, "prometheus", "alerts.yaml")).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
