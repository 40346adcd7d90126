# What the Makefiles of the calendars for Node share.
node_modules/.installed: package-lock.json
	@command -v npm >/dev/null && node -e 'process.exit(+(parseInt(process.versions.node) < 20))' || { \
	  echo "Node 20 or later is missing: https://nodejs.org" >&2; exit 1; }
	npm ci --ignore-scripts
	../native.sh $(NATIVE)
	@touch $@
