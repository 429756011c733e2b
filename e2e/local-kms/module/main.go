// Command module serves local-kms, an emulator of the AWS Key Management Service, on a free port of the loopback interface:
// its own program listens on all of them. It prints its address, keeps its keys in the folder that its argument names, and
// ends with its standard input.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	"github.com/nsmithuk/local-kms/src"
	"github.com/nsmithuk/local-kms/src/config"
	"github.com/nsmithuk/local-kms/src/data"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "local-kms:", err)
		os.Exit(1)
	}
}

func run(folder string) error {
	config.AWSRegion, config.AWSAccountId, config.DatabasePath = "us-east-1", "111122223333", folder
	keys := data.NewDatabase(folder)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { src.HandleRequest(w, r, keys) })}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println("http://" + listener.Addr().String())
	return server.Serve(listener)
}
