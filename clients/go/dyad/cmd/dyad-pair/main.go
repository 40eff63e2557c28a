// Dyad-pair plays one side of a scripted call. The other side is another client's
// dyad-pair. clients/INTEROP.md says what it does and prints.
package main

import (
	"context"
	"flag"
	"os"
	"strings"
	"time"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
)

// How long a scenario may take.
const patience = 100 * time.Second

func main() {
	role := flag.String("role", "", "caller or callee")
	target := flag.String("target", "", "the Dyad server, `HOST:PORT`")
	token := flag.String("token", "", "the `JWT`")
	tokenFile := flag.String("token-file", "", "the `PATH` of a file to read the JWT from, before each connection")
	room := flag.String("room", "", "`ID` of the room that the callee joins")
	scenario := flag.String("scenario", "", "the `NAME` of a scenario in clients/INTEROP.md")
	flag.Parse()
	play := plays[*scenario+" "+*role]
	oneToken := (*token == "") != (*tokenFile == "")
	if flag.NArg() > 0 || play == nil || *target == "" || !oneToken || (*role == "callee") != (*room != "") {
		flag.Usage()
		os.Exit(2)
	}
	source := dyad.Token(*token)
	if *tokenFile != "" {
		source = fromFile(*tokenFile)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s := dial(ctx, *role, *target, source)
	play(s, *room)
	s.must(s.Close())
}

// fromFile returns a source that reads its token from a file, once for each connection.
func fromFile(path string) dyad.TokenSource {
	return func(context.Context) (string, error) {
		token, err := os.ReadFile(path)
		return strings.TrimSpace(string(token)), err
	}
}
