// producer ADDRESS: streams into the run, and prints the status of its answer.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

func main() {
	reader, writer := io.Pipe()
	go func() {
		for {
			if _, err := io.WriteString(writer, "{\"data\":\"token\"}\n"); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	answer, err := http.Post(os.Args[1], "application/x-ndjson", reader)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(answer.StatusCode)
}
