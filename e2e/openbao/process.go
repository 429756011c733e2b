//go:build unix

package openbao

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// supervise is the parent of the server: when its standard input ends, because the test process has ended in whatever way,
// it kills the server, so that none is left behind.
const supervise = `
exec 4<&0
"$@" </dev/null 3>&- 4<&- &
server=$!
echo $server >&3
exec 3>&-
( read -r _ <&4; kill -KILL $server ) >/dev/null 2>&1 &
watch=$!
wait $server
status=$?
kill $watch
exit $status
`

// process is a running server.
type process struct {
	pid   int
	input io.Closer // closing it kills the server
	done  chan struct{}
	log   log
}

// log keeps what the server prints.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

// tail gives the last lines, for a failure.
func (l *log) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(l.buf.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

func startProcess(binary, config string) (*process, error) {
	p := &process{done: make(chan struct{})}
	cmd := exec.CommandContext(context.Background(), "/bin/sh", "-c", supervise, "sh", binary, "server", "-config="+config)
	cmd.Env = []string{"HOME=" + os.TempDir(), "PATH=" + os.Getenv("PATH")}
	cmd.Stdout, cmd.Stderr = &p.log, &p.log
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd.ExtraFiles = []*os.File{w}
	err = cmd.Start()
	_ = w.Close() // the child has its own
	if err != nil {
		return nil, err
	}
	p.input = input
	go func() {
		_ = cmd.Wait()
		close(p.done)
	}()
	line, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	p.pid, err = strconv.Atoi(strings.TrimSpace(string(line)))
	if err != nil {
		return nil, fmt.Errorf("the server did not start: %s", p.log.tail())
	}
	return p, nil
}

// stop kills the server, which has nothing to lose: it keeps everything in memory.
func (p *process) stop() {
	_ = p.input.Close()
	<-p.done
}

func (p *process) signal(s syscall.Signal) error { return syscall.Kill(p.pid, s) }

// stopped reports whether every thread of the process is stopped.
func (p *process) stopped() bool {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.pid))
	if err != nil || len(tasks) == 0 {
		return runtime.GOOS != "linux" // elsewhere nobody tells
	}
	for _, task := range tasks {
		stat, err := os.ReadFile(task)
		if i := bytes.LastIndexByte(stat, ')'); err == nil && i >= 0 && !bytes.HasPrefix(stat[i+1:], []byte(" T")) {
			return false
		}
	}
	return true
}

// freePort gives a port that was free a moment ago.
func freePort() (string, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}
