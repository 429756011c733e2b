package launch

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
)

// run starts the program in our console, which sends it Ctrl-C itself.
func run(path string, p Program) (int, error) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt)
	defer signal.Stop(signals)
	cmd := exec.Command(path, p.Args[1:]...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = p.Env, os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	if p.Started != nil {
		p.Started()
	}
	err := cmd.Wait()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return ended.ExitCode(), nil
	}
	return 0, err
}
