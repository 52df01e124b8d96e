package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestImage guarantees that what deploy/Dockerfile puts into the image is all that logfence needs: the
// binary, alone in a root of its own with the files that the last stage copies, as the user that it
// names and who may write nothing there, serves, is healthy by the image's health check, and
// ends by SIGTERM. It stands in for a container engine, and needs root.
func TestImage(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: only root may chroot; run the tests of this package by sudo, or build the image")
	}
	i := readImage(t, filepath.Join("..", "..", "deploy", "Dockerfile"))
	if i.uid == 0 || i.gid == 0 {
		t.Fatalf("the image runs as %d:%d", i.uid, i.gid)
	}
	root := i.layOut(t, map[string]string{
		"/out/logfence":                      on.binary,
		"/src/LICENSE":                       filepath.Join("..", "..", "LICENSE"),
		"/etc/ssl/certs/ca-certificates.crt": systemCertificates(t),
	})
	admin := freeAddress(t)
	g := &gateway{exited: make(chan struct{}), cmd: i.command(t.Context(), root, append(i.entrypoint, i.cmd...))}
	g.cmd.Env = append(settingsFor(on.issuer, on.mixed.URL()), "LOGFENCE_ADDR=127.0.0.1:0", "LOGFENCE_ADMIN_ADDR="+admin)
	if err := g.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.stop() })
	if a := g.send(t, request{path: "/api/v1/logs/labels", params: on.across.between()}); a.status != http.StatusOK {
		t.Errorf("labels: %d %s", a.status, a.body)
	}
	check := func() (string, error) {
		cmd := i.command(t.Context(), root, i.healthcheck)
		cmd.Env = []string{"LOGFENCE_ADMIN_ADDR=" + admin}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if said, err := check(); err != nil || !strings.Contains(said, "is running") {
		t.Errorf("the health check: %v\n%s", err, said)
	}
	if err := g.stop(); err != nil {
		t.Error(err)
	}
	var status *exec.ExitError
	if said, err := check(); !errors.As(err, &status) || status.ExitCode() != 1 {
		t.Errorf("the health check after the end: %v\n%s", err, said)
	}
}

// image is what the last stage of a Dockerfile says.
type image struct {
	copied                       [][2]string // from the build, to
	uid, gid                     uint32
	entrypoint, cmd, healthcheck []string
}

// readImage reads the few instructions that the image is made of, and refuses others: what this does
// not understand, the test would not test.
func readImage(t *testing.T, file string) image {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var i image
	joined := bytes.ReplaceAll(content, []byte("\\\n"), nil)
	for lines := bufio.NewScanner(bytes.NewReader(joined)); lines.Scan(); {
		word, rest, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		switch word {
		case "FROM":
			i = image{} // only the last stage counts
		case "COPY":
			if fields := strings.Fields(rest); len(fields) == 3 && fields[0] == "--from=build" {
				i.copied = append(i.copied, [2]string{fields[1], fields[2]})
			}
		case "USER":
			if _, err := fmt.Sscanf(rest, "%d:%d", &i.uid, &i.gid); err != nil {
				t.Fatalf("USER %s: %v", rest, err)
			}
		case "ENTRYPOINT":
			i.entrypoint = words(t, rest)
		case "CMD":
			i.cmd = words(t, rest)
		case "HEALTHCHECK":
			_, command, _ := strings.Cut(rest, "CMD ")
			i.healthcheck = words(t, command)
		case "", "#", "LABEL", "EXPOSE", "WORKDIR", "RUN", "ARG":
		default:
			if !strings.HasPrefix(word, "#") {
				t.Fatalf("%s: %s is new here", file, word)
			}
		}
	}
	return i
}

func words(t *testing.T, list string) (w []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(list), &w); err != nil {
		t.Fatalf("%s: %v", list, err)
	}
	return w
}

// layOut makes the image's root in a folder, of what the build is said to have made.
func (i image) layOut(t *testing.T, built map[string]string) string {
	t.Helper()
	root, err := os.MkdirTemp("", "logfence-image-") // not t.TempDir, whose parents are for root alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range i.copied {
		from, ok := built[c[0]]
		if !ok {
			t.Fatalf("the image copies %s, of which the test knows nothing", c[0])
		}
		to := filepath.Join(root, c[1])
		if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), copyFile(from, to)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func copyFile(from, to string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Close())
}

// command runs a file of the image in its root, as its user.
func (i image) command(ctx context.Context, root string, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: i.uid, Gid: i.gid}}
	return cmd
}

func systemCertificates(t *testing.T) string {
	t.Helper()
	const debian = "/etc/ssl/certs/ca-certificates.crt"
	if _, err := os.Stat(debian); err == nil {
		return debian
	}
	none := filepath.Join(t.TempDir(), "none.crt")
	if err := os.WriteFile(none, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return none
}

// freeAddress is where nobody listens just now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
}
