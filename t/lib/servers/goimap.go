// An IMAP server on loopback: go-imap with its memory backend. Prints its port. The user is "username",
// the password "password"; INBOX holds one message.
package main

import (
	"fmt"
	"log"
	"net"

	"github.com/emersion/go-imap/backend/memory"
	"github.com/emersion/go-imap/server"
)

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
	s := server.New(memory.New())
	s.AllowInsecureAuth = true
	log.Fatal(s.Serve(l))
}
