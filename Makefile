# make demo    the main job, as a user sees it
# make test    all checks and tests
# make lab     the scenarios that need a real kernel, in a virtual machine; SCENARIOS="fobd rights" for some of them
# make bench   what things cost, as ratios to a baseline measured in the same run
# make soak    10,000 ceremonies with keys that fail at random, and nothing left of them; 10,000 kills of who writes a store
# make fuzz    each fuzz target for FUZZTIME
# make build   the three programs, in bin/
# make units   systemd's units for programs in BINDIR, in bin/systemd/
# make install    everything into DESTDIR/PREFIX, after "make build manual"; make uninstall takes it out
# make package    .deb and .rpm for ARCHES, in bin/package/; make package-check has lintian judge them, and makes them again
# make package-test  installs, upgrades, removes and purges the .deb in a clean Debian; does what the Dockerfile says
# make manual  man pages and shell completions, in bin/man/ and bin/completions/

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
FUZZTIME ?= 30s
PREFIX   ?= /usr/local
BINDIR   ?= $(PREFIX)/bin
ARCHES   ?= amd64 arm64
LDFLAGS   = -X fob/cmd/internal/program.Version=$(VERSION) -X main.version=$(VERSION)

# What is made has the date of the sources, so that the same sources make the same bytes.
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)

.PHONY: package package-check package-test package-packages install uninstall build units manual demo test check race lab bench soak fuzz clean packages test-packages lab-packages

build: packages
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/fob ./cmd/fobd
	CGO_ENABLED=1 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/fob-fido-helper

units:
	@for kind in user system; do \
		mkdir -p bin/systemd/$$kind; \
		for unit in fobd.socket fobd.service; do \
			sed 's|@bindir@|$(BINDIR)|' packaging/systemd/$$kind/$$unit >bin/systemd/$$kind/$$unit; \
		done; \
	done

install:
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' packaging/files install

uninstall:
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' packaging/files uninstall

package: package-packages manual
	@VERSION='$(VERSION)' packaging/package bin/package $(ARCHES)

package-check: package-packages manual
	@VERSION='$(VERSION)' packaging/check $(ARCHES)

package-test: package
	@packaging/test bin/package
	@packaging/container/check bin/package/fob_*_$$(dpkg --print-architecture).deb

package-packages:
	@.ci/packages package $(ARCHES)

manual:
	rm -rf bin/man bin/completions
	CGO_ENABLED=0 go run -tags manual ./cmd/fob bin
	CGO_ENABLED=0 go run -tags manual ./cmd/fobd bin
	CGO_ENABLED=0 go run ./packaging/manual/generate bin

demo: build
	@testdata/demo bin

test: test-packages check race

check: test-packages
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "gofmt would change: $$unformatted"; exit 1; }
	shellcheck -x .ci/packages .ci/run .ci/fuzz .ci/varlinkctl testdata/demo testdata/clients/*.sh \
		packaging/files packaging/package packaging/check packaging/test packaging/test-inside packaging/scripts/* packaging/container/check \
		docs/ci-example.sh packaging/lab/lab packaging/lab/image packaging/lab/setup packaging/lab/guest packaging/lab/steps \
		packaging/lab/scenarios/*
	go vet ./... ./testdata/ratios
	go vet -tags manual ./cmd/fob ./cmd/fobd
	go tool staticcheck ./... ./testdata/ratios

race: test-packages
	go test -race ./... ./testdata/ratios
	@[ -w /dev/uhid ] || echo "NOT RUN: 1 kind of endpoint, a real hidraw device: there is no /dev/uhid here; 'make lab' tests it"
	@go run ./cmd/fob-fido-helper --sandbox-report | grep -vq '"missing"' || \
		echo "NOT RUN: tests of how helpers are confined: $$(go run ./cmd/fob-fido-helper --sandbox-report)"
	@.ci/varlinkctl --version >/dev/null 2>&1 || echo "NOT RUN: tests with varlinkctl of systemd 257, which is neither here nor could be fetched"

lab: lab-packages build
	@packaging/lab/lab bin $(SCENARIOS)

bench: test-packages
	go test -run '^$$' -bench . ./... | go run ./testdata/ratios

soak: test-packages
	FOB_SOAK_KILLS=10000 go test -count=1 -timeout 60m -run '^TestKills$$' -v ./daemon/store
	FOB_SOAK=10000 go test -race -count=1 -timeout 60m -run '^TestSoak$$' -v ./daemon

fuzz: test-packages
	.ci/fuzz $(FUZZTIME)

clean:
	rm -rf bin

packages:
	@.ci/packages

test-packages:
	@.ci/packages test
	@.ci/varlinkctl --prepare || true

lab-packages:
	@.ci/packages lab
