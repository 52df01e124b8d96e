package deploy

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// unitKeys are the keys of the unit and its drop-in, by section, that systemd 252 knows.
var unitKeys = map[string]string{
	"Unit": "Description Documentation Wants After",
	"Service": "Type ExecStart ExecReload TimeoutStopSec Restart RestartSec RestartPreventExitStatus WatchdogSec DynamicUser " +
		"ConfigurationDirectory LogsDirectory LogsDirectoryMode UMask LimitNOFILE CapabilityBoundingSet NoNewPrivileges PrivateDevices " +
		"PrivateTmp PrivateUsers ProtectClock ProtectControlGroups ProtectHome ProtectHostname ProtectKernelLogs ProtectKernelModules " +
		"ProtectKernelTunables ProtectProc ProcSubset ProtectSystem LockPersonality MemoryDenyWriteExecute RemoveIPC " +
		"RestrictAddressFamilies RestrictNamespaces RestrictRealtime RestrictSUIDSGID SystemCallArchitectures SystemCallFilter " +
		"SystemCallErrorNumber LoadCredential Environment",
	"Install": "WantedBy",
}

// unit is a unit file: its values by section and key.
func unit(t *testing.T, file string) map[string][]string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	values, section := map[string][]string{}, ""
	for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
		line := lines.Text()
		key, value, isValue := strings.Cut(line, "=")
		switch {
		case line == "", strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]"):
			section = strings.Trim(line, "[]")
		case !isValue || !strings.Contains(" "+unitKeys[section]+" ", " "+key+" "):
			t.Errorf("%s: %q is no key of [%s]", file, line, section)
		default:
			values[section+"."+key] = append(values[section+"."+key], value)
		}
	}
	return values
}

// TestUnit guarantees what operators rely on: systemd learns when logfence is ready, a mistake in the settings is not tried again, and
// each credential is one that a setting reads.
func TestUnit(t *testing.T) {
	t.Parallel()
	values := unit(t, "systemd/logfence.service")
	for key, want := range map[string]string{
		"Service.Type": "notify", "Service.DynamicUser": "yes", "Service.RestartPreventExitStatus": "2", "Service.NoNewPrivileges": "yes",
		"Service.ProtectSystem": "strict", "Service.CapabilityBoundingSet": "", "Install.WantedBy": "multi-user.target",
	} {
		if got := values[key]; len(got) != 1 || got[0] != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	drop := unit(t, "systemd/credentials.conf")
	docs, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	environment := strings.Join(drop["Service.Environment"], "\n")
	for _, name := range regexp.MustCompile(`LOGFENCE_[A-Z_]+`).FindAllString(environment, -1) {
		if !bytes.Contains(docs, []byte("| `"+name+"` |")) {
			t.Errorf("%s is no setting", name)
		}
	}
	if len(drop["Service.LoadCredential"]) == 0 {
		t.Error("there are no credentials")
	}
	for _, credential := range drop["Service.LoadCredential"] {
		name, _, _ := strings.Cut(credential, ":")
		if !regexp.MustCompile(`LOGFENCE_[A-Z_]+_FILE=%d/` + regexp.QuoteMeta(name) + `\b`).MatchString(environment) {
			t.Errorf("no setting reads the credential %s", name)
		}
	}
}

// TestUnitWithSystemd guarantees that systemd takes the unit and its drop-in without a warning, and finds what the service may do
// to be little.
func TestUnitWithSystemd(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("SKIPPED: systemd-analyze is not installed")
	}
	self, err := os.Executable() // in place of a logfence that is not installed here
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := written(t, dir, "logfence.service", replaced(t, "systemd/logfence.service", "/usr/local/bin/logfence", self))
	drops := filepath.Join(dir, "logfence.service.d")
	if err := os.Mkdir(drops, 0o700); err != nil {
		t.Fatal(err)
	}
	written(t, drops, "credentials.conf", replaced(t, "systemd/credentials.conf"))
	if out, err := exec.Command(analyze, "verify", file).CombinedOutput(); err != nil || bytes.Contains(out, []byte("logfence")) {
		t.Errorf("verify: %v\n%s", err, out)
	}
	// Of 100: systemd calls everything up to 20 OK.
	if out, err := exec.Command(analyze, "security", "--offline=true", "--threshold=20", "--no-pager", file).CombinedOutput(); err != nil {
		t.Errorf("security: %v\n%s", err, out)
	}
}
