package demo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// EnvLoki names the environment variable that holds the path of the Loki to use.
const EnvLoki = "LOGFENCE_DEMO_LOKI"

// ErrNoLoki means that there is no Loki and no way to build one; its text is what to do.
var ErrNoLoki = errors.New("no Loki found: put loki 3.1 or newer on PATH, set " + EnvLoki +
	" to one, or run `make run` in a checkout of logfence, which builds it")

// Binaries are the paths of a real Loki.
type Binaries struct {
	Loki    string // path of the server
	Logcli  string // path of its command line client; empty when none was requested and none is beside Loki
	Version string // of the server, such as 3.7.8
}

// FindOptions configure the search for Loki. The zero value finds one without output.
type FindOptions struct {
	// Loki is the path of the Loki to use, before all others; empty means the variable [EnvLoki],
	// and what the system has if that is empty too.
	Loki string
	// Version is the release to build, one of [Versions], whatever the system has; empty: any.
	Version string
	// Logcli is whether logcli is needed too: it is built if there is none beside the Loki found or on PATH.
	Logcli bool
	// Progress gets a line from time to time: the step, and how long it has taken; nil: none.
	Progress io.Writer
}

// Find finds a real Loki, and builds one if there is none: the path given, by
// [FindOptions] or [EnvLoki], then a Grafana Loki on PATH, then one built earlier, then a new build
// from the module internal/tools/loki of the checkout around the working directory, kept in the
// user's cache folder. A path that was given and is wrong is an error, not a reason to look further.
// Processes that look at the same time wait for one build.
func Find(ctx context.Context, o FindOptions) (Binaries, error) {
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if o.Version != "" {
		return findBuilt(ctx, o.Version, o.Progress)
	}
	found, err := findInstalled(ctx, o)
	if err != nil || (found.Loki != "" && (found.Logcli != "" || !o.Logcli)) {
		return found, err
	}
	built, err := findBuilt(ctx, "", o.Progress)
	if err != nil {
		return Binaries{}, err
	}
	if found.Loki != "" { // only its logcli was missing
		found.Logcli = built.Logcli
		return found, nil
	}
	return built, nil
}

// findInstalled looks for a Loki that somebody else put there; it finds nothing without an error.
func findInstalled(ctx context.Context, o FindOptions) (Binaries, error) {
	given := o.Loki
	if given == "" {
		given = os.Getenv(EnvLoki)
	}
	if given != "" {
		given, err := filepath.Abs(given) // it will be run in another folder
		if err != nil {
			return Binaries{}, fmt.Errorf("%s: %w", EnvLoki, err)
		}
		version, err := lokiVersion(ctx, given)
		if err != nil {
			return Binaries{}, fmt.Errorf("%s: %w", EnvLoki, err)
		}
		return Binaries{Loki: given, Logcli: findLogcli(given), Version: version}, nil
	}
	path, err := exec.LookPath("loki")
	if err != nil {
		return Binaries{}, nil //nolint:nilerr // not on PATH: look further
	}
	version, err := lokiVersion(ctx, path)
	if err != nil {
		if ctx.Err() != nil {
			return Binaries{}, ctx.Err()
		}
		say(o.Progress, "The loki on PATH is not used: %v.\n", err)
		return Binaries{}, nil
	}
	return Binaries{Loki: path, Logcli: findLogcli(path), Version: version}, nil
}

// findLogcli prefers the logcli beside Loki, which is of the same version, to the one on PATH.
func findLogcli(loki string) string {
	beside := filepath.Join(filepath.Dir(loki), "logcli")
	if path, err := exec.LookPath(beside); err == nil {
		return path
	}
	if path, err := exec.LookPath("logcli"); err == nil {
		return path
	}
	return ""
}

var versionLine = regexp.MustCompile(`^loki, version v?((\d+)\.(\d+)\.\d+\S*) `)

// lokiVersion runs a program to get its version, and refuses all but Grafana's Loki from 3.1 on: label
// names are confined to a query only since then. Debian has a genetics program of the same name.
func lokiVersion(ctx context.Context, path string) (string, error) {
	// A program that is not Loki may do anything on -version, such as wait.
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "-version") //nolint:gosec // the user names the program to run
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("run %s -version: %w", path, err)
	}
	m := versionLine.FindStringSubmatch(string(out))
	if m == nil {
		return "", fmt.Errorf("%s is not Grafana Loki: its -version does not begin with \"loki, version\" and a number", path)
	}
	major, _ := strconv.Atoi(m[2])
	minor, _ := strconv.Atoi(m[3])
	if major < 3 || major == 3 && minor < 1 {
		return "", fmt.Errorf("%s is Loki %s, and logfence needs 3.1 or newer", path, m[1])
	}
	return m[1], nil
}

// A recipe is what a build of Loki depends on.
type recipe struct {
	module  string // folder of the Go module that builds it
	version string // of Loki
	key     string // of the result in the cache: changes with whatever would change the result
}

// buildRecipe is raised when the way of building changes, so that older results are not taken.
const buildRecipe = "1"

// findBuilt returns the Loki and logcli of the checkout, built now if they never were: of a version, or, empty, of the first
// of [Versions].
func findBuilt(ctx context.Context, version string, progress io.Writer) (Binaries, error) {
	r, err := recipeOf(version)
	if err != nil {
		return Binaries{}, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return Binaries{}, fmt.Errorf("find the cache folder for Loki: %w", err)
	}
	home := filepath.Join(cache, "logfence", r.key)
	if !isBuilt(home) {
		if err := build(ctx, r, home, progress); err != nil {
			return Binaries{}, err
		}
	}
	return Binaries{
		Loki:    filepath.Join(home, lokiName),
		Logcli:  filepath.Join(home, logcliName),
		Version: r.version,
	}, nil
}

// Versions lists the releases of Loki that the checkout around the working directory can build: first the one that the demo and
// the tests use unless told otherwise, then the others.
func Versions() ([]string, error) {
	recipes, err := readRecipes()
	versions := make([]string, len(recipes))
	for i, r := range recipes {
		versions[i] = r.version
	}
	return versions, err
}

// recipeOf finds the way to build a version; empty: the first.
func recipeOf(version string) (recipe, error) {
	modules, err := lokiModules()
	if err != nil {
		return recipe{}, err
	}
	if version == "" {
		return readRecipe(modules[0])
	}
	recipes, err := readRecipes()
	if err != nil {
		return recipe{}, err
	}
	known := make([]string, len(recipes))
	for i, r := range recipes {
		if known[i] = r.version; r.version == version {
			return r, nil
		}
	}
	return recipe{}, fmt.Errorf("no module builds Loki %q; there are %s", version, strings.Join(known, ", "))
}

// readRecipes reads every module that builds a Loki.
func readRecipes() ([]recipe, error) {
	modules, err := lokiModules()
	if err != nil {
		return nil, err
	}
	var all []recipe
	for _, module := range modules {
		r, err := readRecipe(module)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// lokiModules are folders of the checkout around the working directory: internal/tools/loki, and beside it one for each further
// version.
func lokiModules() ([]string, error) {
	root, err := ourCheckout()
	if err != nil {
		return nil, err
	}
	first := filepath.Join(root, "internal", "tools", "loki")
	others, err := filepath.Glob(first + "-*")
	return append([]string{first}, others...), err
}

var lokiRequired = regexp.MustCompile(`(?m)^\s*(?:require\s+)?github\.com/grafana/loki/v3\s+v(\S+)`)

// readRecipe reads a module that builds Loki, whose go.sum has the checksums of all that is built. The
// version of Go is left out of the key: Loki behaves as its sources say, and a new Go is no reason
// to build for five minutes again.
func readRecipe(module string) (recipe, error) {
	r := recipe{module: module}
	h := sha256.New()
	for _, part := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(r.module, part))
		if err != nil {
			return recipe{}, fmt.Errorf("read the module that builds Loki: %w", err)
		}
		if part == "go.mod" {
			m := lokiRequired.FindSubmatch(text)
			if m == nil {
				return recipe{}, fmt.Errorf("%s does not require github.com/grafana/loki/v3", filepath.Join(r.module, part))
			}
			r.version = string(m[1])
		}
		_, _ = fmt.Fprintf(h, "%s %d\n%s", part, len(text), text)
	}
	_, _ = fmt.Fprintf(h, "%s %s/%s", buildRecipe, runtime.GOOS, runtime.GOARCH)
	r.key = "loki-" + r.version + "-" + hex.EncodeToString(h.Sum(nil))[:12]
	return r, nil
}

var ourModule = regexp.MustCompile(`(?m)^module github\.com/logfence/logfence$`)

// ourCheckout walks up from the working directory to the folder of logfence's go.mod.
func ourCheckout() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the checkout: %w", err)
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && ourModule.MatchString(strings.ReplaceAll(string(text), "\r", "")) {
			return dir, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("find the checkout: %w", err)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", ErrNoLoki
		}
		dir = parent
	}
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// say writes one message for the user; an output that fails is no reason to stop.
func say(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format, args...)
}
