// Command lokis runs the tests of isolation before a Loki of each version and in each configuration that logfence is tested with,
// and prints a table of what passed, in Markdown. `make test-lokis` runs it. It ends with an error when a test failed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/logfence/logfence/internal/demo"
)

// isolation are the tests that each cell of the matrix runs. What a version or configuration does not have, a test skips, and
// says so in the log.
const isolation = "^(TestQueriesMatchAlphaAlone|TestHostileQueriesMatchAlphaAlone|TestEndpointsMatchAlphaAlone|TestSeriesMatchAlphaAlone|" +
	"TestVolumeOfEverything|TestNothingTellsOfOthers|TestEveryTenantSeesItsOwn|TestSeveralTenantsSeeTheirUnion|TestSelectorClaim|TestGrants|" +
	"TestPatternsMatchAlphaAlone|TestPatternsPersisted|TestStoredPatternsOfOthers|TestDrilldown|TestWallsOfLoki|" +
	"TestTailSurvivesRestarts|TestExportIsWhatWasWritten|TestLinesAreWhatWasWritten|TestContextAroundALine)$"

// cell is a version and a configuration.
type cell struct {
	version       string
	configuration demo.Configuration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "lokis:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("lokis", flag.ContinueOnError)
	versions := flags.String("versions", "", "releases of Loki, by commas; empty: all that can be built")
	names := flags.String("configurations", "", "configurations, by commas; empty: all")
	tests := flags.String("run", isolation, "the tests to run")
	logs := flags.String("logs", "bin/lokis", "the folder for the output of each run")
	if err := flags.Parse(args); err != nil {
		return err
	}
	cells, err := matrix(*versions, *names)
	if err != nil {
		return err
	}
	if *logs, err = filepath.Abs(*logs); err != nil {
		return err
	}
	if err := os.MkdirAll(*logs, 0o750); err != nil {
		return err
	}
	binary := filepath.Join(*logs, "e2e.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, "./internal/e2e") //nolint:gosec // the path is the caller's
	build.Stdout, build.Stderr = progress, progress
	if err := build.Run(); err != nil {
		return fmt.Errorf("build the tests: %w", err)
	}
	results, err := runAll(ctx, cells, binary, *tests, *logs, progress)
	table(out, cells, results)
	return err
}

// matrix lists the cells that were requested, version by version. A name that does not exist is an error.
func matrix(versions, names string) ([]cell, error) {
	known, err := demo.Versions()
	if err != nil {
		return nil, err
	}
	if versions != "" {
		known = strings.Split(versions, ",") // an unknown one is an error of Find
	}
	configurations := demo.Configurations
	if names != "" {
		configurations = nil
		for name := range strings.SplitSeq(names, ",") {
			c, err := demo.ConfigurationNamed(name)
			if err != nil {
				return nil, err
			}
			configurations = append(configurations, c)
		}
	}
	var cells []cell
	for _, version := range known {
		for _, c := range configurations {
			cells = append(cells, cell{version, c})
		}
	}
	return cells, nil
}

// result is what came of a cell.
type result struct {
	passed, skipped, failed int
	took                    time.Duration
	err                     error
}

func (r result) String() string {
	took := r.took.Round(time.Second)
	if r.err != nil {
		return fmt.Sprintf("**failed**: %d of %d, %s", r.failed, r.passed+r.failed, took)
	}
	return fmt.Sprintf("%d passed, %d skipped, %s", r.passed, r.skipped, took)
}

// runAll runs the cells one after the other: together they would only wait for each other.
func runAll(ctx context.Context, cells []cell, binary, tests, logs string, progress io.Writer) (map[string]result, error) {
	results := map[string]result{}
	var errs []error
	for _, c := range cells {
		if !c.configuration.In(c.version) {
			continue
		}
		if ctx.Err() != nil {
			return results, errors.Join(append(errs, context.Cause(ctx))...)
		}
		if _, err := demo.Find(ctx, demo.FindOptions{Version: c.version, Logcli: true, Progress: progress}); err != nil {
			return results, err
		}
		log := filepath.Join(logs, c.version+"-"+c.configuration.Name+".log")
		r, text := c.run(ctx, binary, tests, log)
		results[c.String()] = r
		_, _ = fmt.Fprintf(progress, "%s: %s\n", c, r)
		if r.err != nil {
			_, _ = fmt.Fprintf(progress, "%s\n", failures(text))
			errs = append(errs, fmt.Errorf("%s: %w: see %s", c, r.err, log))
		}
	}
	return results, errors.Join(errs...)
}

func (c cell) String() string { return c.version + " " + c.configuration.Name }

// run runs the tests in the cell, and keeps their output in the file log.
func (c cell) run(ctx context.Context, binary, tests, log string) (result, []byte) {
	cmd := exec.CommandContext(ctx, binary, "-test.run="+tests, "-test.v", "-test.timeout=30m") //nolint:gosec // our own tests
	cmd.Dir = filepath.Join("internal", "e2e")
	cmd.Env = append(os.Environ(), "LOGFENCE_TEST_LOKI_CONFIG="+c.configuration.Name, "LOGFENCE_TEST_LOKI_VERSION="+c.version)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	began := time.Now()
	text, err := cmd.CombinedOutput()
	r := count(text)
	r.took, r.err = time.Since(began), err
	if r.err == nil && r.passed == 0 {
		r.err = errors.New("no test ran")
	}
	if err := os.WriteFile(log, text, 0o600); err != nil {
		r.err = errors.Join(r.err, err)
	}
	return r, text
}

var verdict = regexp.MustCompile(`(?m)^\s*--- (PASS|FAIL|SKIP): `)

// count counts the tests and subtests in the output of tests that ran with -test.v.
func count(text []byte) (r result) {
	for _, m := range verdict.FindAllSubmatch(text, -1) {
		switch string(m[1]) {
		case "PASS":
			r.passed++
		case "FAIL":
			r.failed++
		default:
			r.skipped++
		}
	}
	return r
}

var progressLine = regexp.MustCompile(`^\s*(=== (RUN|PAUSE|CONT) |--- (PASS|SKIP): )`)

// failures is the output of tests without the thousands of lines that say which test began or passed, and not longer than a reader
// of CI's log reads: CI keeps no files.
func failures(text []byte) string {
	const most = 300
	var lines []string
	for line := range strings.Lines(string(text)) {
		if !progressLine.MatchString(line) {
			lines = append(lines, line)
		}
	}
	if len(lines) > most {
		lines = append(lines[:most:most], "…\n")
	}
	return strings.Join(lines, "")
}

// table writes the results with a row for each configuration and a column for each version.
func table(out io.Writer, cells []cell, results map[string]result) {
	var versions []string
	var configurations []demo.Configuration
	seen := map[string]bool{}
	for _, c := range cells {
		if !seen["v"+c.version] {
			seen["v"+c.version] = true
			versions = append(versions, c.version)
		}
		if !seen["c"+c.configuration.Name] {
			seen["c"+c.configuration.Name] = true
			configurations = append(configurations, c.configuration)
		}
	}
	_, _ = fmt.Fprintf(out, "| configuration | what it has | Loki %s |\n|%s\n", strings.Join(versions, " | Loki "), strings.Repeat(" --- |", 2+len(versions)))
	for _, c := range configurations {
		row := []string{"`" + c.Name + "`", c.Meaning}
		for _, v := range versions {
			text := "not run"
			if r, ok := results[cell{v, c}.String()]; ok {
				text = r.String()
			} else if !c.In(v) {
				text = "this version does not have it"
			}
			row = append(row, text)
		}
		_, _ = fmt.Fprintf(out, "| %s |\n", strings.Join(row, " | "))
	}
}
