// Command fake is a plugin without any SDK that misbehaves as FAKE says, for the tests of the host.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/keyway-dev/keyway/sdk/proto/keyway/plugin/v1"
)

const schema = `{"type":"object"}`

// misbehaviours before the plugin serves; each returns whether it goes on.
var early = map[string]func() bool{
	"exit":  func() bool { fmt.Fprintln(os.Stderr, "nothing to do"); os.Exit(0); return false },
	"crash": func() bool { panic("no licence file") },
	"log-crash": func() bool {
		fmt.Fprintln(os.Stderr, `{"@level":"error","@message":"cannot load roots","path":"/etc/roots"}`)
		os.Exit(7)
		return false
	},
	"hang":     hang,
	"stubborn": func() bool { signal.Ignore(syscall.SIGTERM); return true },
	"steady":   func() bool { signal.Ignore(syscall.SIGTERM); return true },
	"noise": func() bool {
		fmt.Println("hello from a dependency")
		fmt.Println(strings.Repeat("o", 300<<10))
		fmt.Fprintln(os.Stderr, strings.Repeat("e", 300<<10))
		return true
	},
	"babble": func() bool {
		for {
			fmt.Println("y")
		}
	},
	"family":  func() bool { offspring(false); return true },
	"escaped": func() bool { offspring(true); return true },
}

func main() {
	mode := os.Getenv("FAKE")
	if len(os.Args) == 2 && os.Args[1] == "sleep" {
		hang()
	}
	if len(os.Args) == 2 && os.Args[1] == "--describe" {
		describe(mode)
		return
	}
	if len(os.Args) == 3 && os.Args[1] == "listen" {
		serve(listen(os.Args[2]), mode)
	}
	if f := early[mode]; f != nil && !f() {
		return
	}
	dir := os.Getenv("PLUGIN_UNIX_SOCKET_DIR")
	if mode == "elsewhere" {
		dir = filepath.Dir(dir)
	}
	address := filepath.Join(dir, "fake.sock")
	core, version, network, protocol := 1, 1, "unix", "grpc"
	switch mode {
	case "core2":
		core = 2
	case "contract2":
		version = 2
	case "netrpc":
		protocol = "netrpc"
	case "tcp":
		network, address = "tcp", "127.0.0.1:1"
	case "file":
		check(os.WriteFile(address, nil, 0o600))
	case "link":
		check(os.Symlink("/run/somebody.sock", address))
	case "held":
		held(address)
	default:
		go serve(listen(address), mode)
	}
	fmt.Printf("%d|%d|%s|%s|%s\n", core, version, network, address, protocol)
	if mode == "noise" {
		fmt.Println(strings.Repeat("O", 300<<10))
	}
	if mode == "flood" {
		for i := range 50_000 {
			fmt.Fprintln(os.Stderr, "line", i)
		}
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	if mode == "stubborn" || mode == "deaf-lifeline" {
		hang()
	}
}

// hang waits for longer than any test; without a timer Go would end it as a deadlock.
func hang() bool {
	<-time.After(time.Hour)
	return false
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(9)
	}
}

func listen(address string) net.Listener {
	l, err := net.Listen("unix", address)
	check(err)
	return l
}

// held lets another process have the socket.
func held(address string) {
	c := exec.Command(os.Args[0], "listen", address)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	check(err)
	check(c.Start())
	_, err = io.ReadFull(out, make([]byte, 1))
	check(err)
}

// offspring leaves a process that holds this one's output.
func offspring(escape bool) {
	c := exec.Command(os.Args[0], "sleep")
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: escape}
	check(c.Start())
	fmt.Fprintln(os.Stderr, "child", c.Process.Pid)
}

func name() string { return strings.SplitN(filepath.Base(os.Args[0]), "-", 2)[0] }

func describe(mode string) {
	manifest := map[string]any{"name": name(), "version": "1.0.0", "capabilities": []string{"get"}, "settings_schema": json.RawMessage(schema)}
	switch mode {
	case "misnamed":
		manifest["name"] = "other"
	case "describe-bad-version":
		manifest["version"] = "latest"
	case "describe-sentence":
		manifest["capabilities"] = []string{"get", "put all\nbad: x"}
	case "describe-schema-text":
		manifest["settings_schema"] = schema
	case "describe-large-schema":
		manifest["settings_schema"] = map[string]string{"description": strings.Repeat("x", 257<<10)}
	case "describe-flood":
		for {
			fmt.Println(strings.Repeat("x", 1<<10))
		}
	case "describe-hang":
		hang()
	case "describe-fail":
		fmt.Fprintln(os.Stderr, "unknown flag \x1b[31m--describe")
		os.Exit(2)
	case "describe-text":
		fmt.Println("fake 1.0.0")
		return
	}
	check(json.NewEncoder(os.Stdout).Encode(manifest))
}

type server struct {
	pb.UnimplementedPluginServer
	mode  string
	grpc  *grpc.Server
	asked atomic.Int64
}

func serve(l net.Listener, mode string) {
	s := grpc.NewServer()
	pb.RegisterPluginServer(s, &server{mode: mode, grpc: s})
	if len(os.Args) == 3 {
		fmt.Print("!")
	}
	if err := s.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		check(err)
	}
	hang()
}

func (s *server) Describe(context.Context, *pb.DescribeRequest) (*pb.DescribeResponse, error) {
	if s.asked.Add(1) > 1 {
		fmt.Fprintln(os.Stderr, "asked again")
		return s.describeAgain()
	}
	switch s.mode {
	case "mute":
		hang()
	case "describe-crash":
		panic("nil manifest")
	case "misnamed":
		return &pb.DescribeResponse{Name: "other", Version: "1.0.0", SettingsSchema: schema}, nil
	}
	return &pb.DescribeResponse{Name: name(), Version: "1.0.0", Capabilities: []string{"get"}, SettingsSchema: schema}, nil
}

// describeAgain answers a host that asks whether the plugin still is what it was.
func (s *server) describeAgain() (*pb.DescribeResponse, error) {
	r := &pb.DescribeResponse{Name: name(), Version: "1.0.0", Capabilities: []string{"get"}, SettingsSchema: schema}
	switch s.mode {
	case "lies":
		r.Version = "1.0.1"
	case "hangs":
		hang()
	case "slow":
		<-time.After(300 * time.Millisecond)
	}
	return r, nil
}

func (s *server) Open(context.Context, *pb.OpenRequest) (*pb.OpenResponse, error) {
	return &pb.OpenResponse{Capabilities: []string{"get"}}, nil
}

// Get does what the name says.
func (s *server) Get(ctx context.Context, r *pb.GetRequest) (*pb.GetResponse, error) {
	switch r.Name {
	case "exit":
		fmt.Fprintln(os.Stderr, "asked to exit")
		os.Exit(3)
	case "panic":
		go func() { panic("index out of range") }()
		<-ctx.Done()
	case "deaf":
		go s.grpc.Stop()
		<-ctx.Done()
	case "environ": // as only root could see it from outside
		return &pb.GetResponse{Secret: &pb.Secret{Value: []byte(strings.Join(os.Environ(), "\x00")), Version: "1"}}, nil
	case "cwd":
		dir, err := os.Getwd()
		return &pb.GetResponse{Secret: &pb.Secret{Value: []byte(dir), Version: "1"}}, err
	case "breach":
		_, _ = os.NewFile(3, "dial socket").WriteString("short") // no request has less than nine bytes
		<-ctx.Done()
	case "line":
		fmt.Println(strings.Repeat("x", 300<<10))
		return &pb.GetResponse{Secret: &pb.Secret{Value: []byte("v"), Version: "1"}}, nil
	case "late":
		fmt.Fprintln(os.Stderr, "a call has begun")
		<-time.After(500 * time.Millisecond)
		return &pb.GetResponse{Secret: &pb.Secret{Value: []byte("v"), Version: "1"}}, nil
	}
	if r.Name != "value" && os.Getenv(r.Name) == "" { // or a variable's name
		return nil, status.Error(codes.NotFound, "no such secret")
	}
	return &pb.GetResponse{Secret: &pb.Secret{Value: []byte("v"), Version: "1"}}, nil
}
