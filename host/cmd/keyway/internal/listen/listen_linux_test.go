package listen

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

// The test binary itself is the stranger that connects: with this variable it dials, and says what became of it.
const dialVariable = "KEYWAY_TEST_DIAL"

func TestMain(m *testing.M) {
	if path := os.Getenv(dialVariable); path != "" {
		fmt.Println(dial(path))
		return
	}
	os.Exit(m.Run())
}

// dial gives "served" when the other end greets, else what happened.
func dial(path string) string {
	c, err := net.Dial("unix", path)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	b, err := io.ReadAll(c)
	if len(b) == 0 {
		return fmt.Sprintf("dropped (%v)", err)
	}
	return string(b)
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func nobody() map[int]bool { return nil }

// folder gives a short path for sockets that everybody may enter.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kw-listen")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// greet serves every connection with one word, until stop is called or the test ends.
func greet(t *testing.T, l *Listener) (stop func()) {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "served")
			_ = c.Close()
		}
	}()
	stop = sync.OnceFunc(func() {
		_ = l.Close()
		<-ended
	})
	t.Cleanup(stop)
	return stop
}

func open0(t *testing.T, path, group string) *Listener {
	t.Helper()
	l, err := Open(t.Context(), path, group, quiet())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// dialAs dials from a process of another user.
func dialAs(t *testing.T, path string, cred *syscall.Credential) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(folder(t), "stranger")
	data, err := os.ReadFile(self)
	if err == nil {
		err = os.WriteFile(program, data, 0o755)
	}
	if err == nil {
		err = os.Chmod(program, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = []string{dialVariable + "=" + path, "GORACE=atexit_sleep_ms=0"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the stranger: %v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestTheUserThatServesIsLetIn(t *testing.T) {
	path := filepath.Join(folder(t), "s")
	l := open0(t, path, "")
	l.Admit(nobody)
	greet(t, l)
	if got := dial(path); got != "served" {
		t.Errorf("own connection: %s, want served", got)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket's mode is %v, %v; want 0600", info.Mode().Perm(), err)
	}
}

func TestAPluginIsNotLetIn(t *testing.T) {
	for name, refused := range map[string]int{"its process": os.Getpid(), "a process of its group": syscall.Getpgrp()} {
		path := filepath.Join(folder(t), "s")
		l := open0(t, path, "")
		l.Admit(func() map[int]bool { return map[int]bool{refused: true} })
		greet(t, l)
		if got := dial(path); !strings.HasPrefix(got, "dropped") {
			t.Errorf("%s: %s, want dropped", name, got)
		}
	}
}

func TestAnotherUserIsNotLetInWhateverTheModeOfTheSocket(t *testing.T) {
	if os.Geteuid() != 0 {
		return // only root can be another user
	}
	path := filepath.Join(folder(t), "s")
	var logged bytes.Buffer
	l, err := Open(t.Context(), path, "", slog.New(slog.NewTextHandler(&logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	l.Admit(nobody)
	stop := greet(t, l)
	stranger := &syscall.Credential{Uid: 65534, Gid: 65534}
	if got := dialAs(t, path, stranger); !strings.Contains(got, "permission denied") {
		t.Errorf("mode 0600: %s, want permission denied", got)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if got := dialAs(t, path, stranger); !strings.HasPrefix(got, "dropped") {
		t.Errorf("mode 0666: %s, want dropped", got)
	}
	stop()
	if !strings.Contains(logged.String(), "user 65534") {
		t.Errorf("the log does not tell who was refused: %s", logged.String())
	}
}

func TestTheGroupsMembersAreLetIn(t *testing.T) {
	if os.Geteuid() != 0 {
		return // only root gives a socket to a group that it is not in
	}
	const group = 4242
	path := filepath.Join(folder(t), "s")
	l := open0(t, path, strconv.Itoa(group))
	l.Admit(nobody)
	greet(t, l)
	for name, cred := range map[string]*syscall.Credential{
		"by its own group":           {Uid: 65534, Gid: group},
		"by a supplementary group":   {Uid: 65534, Gid: 65534, Groups: []uint32{7, group}},
		"by the last of two hundred": {Uid: 65534, Gid: 65534, Groups: manyGroups(group)},
	} {
		if got := dialAs(t, path, cred); got != "served" {
			t.Errorf("%s: %s, want served", name, got)
		}
	}
	if got := dialAs(t, path, &syscall.Credential{Uid: 65534, Gid: 65534, Groups: []uint32{7}}); !strings.Contains(got, "permission denied") {
		t.Errorf("without the group: %s, want permission denied", got)
	}
}

func manyGroups(last uint32) []uint32 {
	var all []uint32
	for g := range uint32(200) {
		all = append(all, 3000+g)
	}
	return append(all, last)
}

func TestASecondOneIsToldWhoListens(t *testing.T) {
	path := filepath.Join(folder(t), "s")
	l := open0(t, path, "")
	_, err := Open(t.Context(), path, "", quiet())
	if !errors.Is(err, sdk.AlreadyExists) || !strings.Contains(err.Error(), fmt.Sprintf("(pid %d)", os.Getpid())) {
		t.Errorf("Open: %v; want already exists, and the process that listens", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := open0(t, path, "").Close(); err != nil {
		t.Error(err)
	}
}

func TestASocketThatADeadProcessLeftIsReplaced(t *testing.T) {
	path := filepath.Join(folder(t), "s")
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, "", quiet()); !errors.Is(err, sdk.AlreadyExists) {
		t.Errorf("Open over a socket that somebody without a lock listens on: %v; want already exists", err)
	}
	old.SetUnlinkOnClose(false)
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	l := open0(t, path, "")
	l.Admit(nobody)
	greet(t, l)
	if got := dial(path); got != "served" {
		t.Errorf("connection to the new socket: %s, want served", got)
	}
}

func TestWhatCannotBeListenedOnIsRefusedAndLeftAlone(t *testing.T) {
	dir := folder(t)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		path, group string
		want        sdk.Code
	}{
		"a file":                  {file, "", sdk.FailedPrecondition},
		"a folder":                {dir, "", sdk.FailedPrecondition},
		"no folder":               {filepath.Join(dir, "absent", "s"), "", sdk.FailedPrecondition},
		"a group that is unknown": {filepath.Join(dir, "s"), "no-such-group", sdk.InvalidArgument},
	} {
		l, err := Open(t.Context(), x.path, x.group, quiet())
		if !errors.Is(err, x.want) {
			t.Errorf("%s: %v, want %v", name, err, x.want)
		}
		if l != nil {
			_ = l.Close()
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "precious" {
		t.Errorf("the file was touched: %q, %v", b, err)
	}
}

func TestASocketOfTheServiceManagerIsJudgedToo(t *testing.T) {
	path := filepath.Join(folder(t), "s")
	u, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := Adopt(u, quiet())
	if err != nil {
		t.Fatal(err)
	}
	l.Admit(func() map[int]bool { return map[int]bool{os.Getpid(): true} })
	greet(t, l)
	if got := dial(path); !strings.HasPrefix(got, "dropped") {
		t.Errorf("a plugin: %s, want dropped", got)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	if _, err := Adopt(tcp, quiet()); !errors.Is(err, sdk.InvalidArgument) {
		t.Errorf("Adopt of a TCP socket: %v, want invalid argument", err)
	}
}
