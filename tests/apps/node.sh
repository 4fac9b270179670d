#!/bin/bash
# node: modules, streams, workers and child processes here.
set -u
node=$(type -P node) || exit 77; "$node" -e 0 || exit 77
mkdir -p node_modules/dep; echo 'exports.twice = x => 2 * x;' > node_modules/dep/index.js; echo '{"name":"dep","version":"1.0.0","main":"index.js"}' > node_modules/dep/package.json
printf '#!%s\n' "$node" > prog.js; cat >> prog.js <<'END'
const fs = require('fs'), cp = require('child_process'), path = require('path'), dep = require('dep'), { Worker } = require('worker_threads');
console.log(dep.twice(21), path.basename(__filename), process.argv.slice(2));
fs.mkdirSync('a/b', { recursive: true }); fs.writeFileSync('a/f', 'hello\n'); fs.appendFileSync('a/f', 'more\n'); console.log(fs.readFileSync('a/f', 'utf8').length, fs.readdirSync('a').sort(), fs.statSync('a/f').size, fs.existsSync('a/none'));
console.log(cp.execFileSync('cat', ['a/f']).toString()); console.log(cp.spawnSync('sh', ['-c', 'echo $PWD | sed "s|.*/||"; echo to fd >&3'], { cwd: 'a/b', stdio: ['ignore', 'pipe', 'inherit', fs.openSync('a/out', 'w')] }).stdout.toString(), fs.readFileSync('a/out', 'utf8'));
const child = cp.fork(__filename.replace('prog', 'child')); child.on('message', m => console.log('message', m)); child.on('exit', code => { console.log('exit', code);
new Worker('const fs = require("fs"); fs.writeFileSync("a/worker", "w".repeat(100000)); require("worker_threads").parentPort.postMessage(fs.statSync("a/worker").size);', { eval: true }).on('message', m => { console.log('worker', m);
const out = fs.createWriteStream('a/copy'); fs.createReadStream('a/worker', { highWaterMark: 1000 }).pipe(out); out.on('finish', async () => { console.log(fs.statSync('a/copy').size);
await Promise.all([...Array(50).keys()].map(i => fs.promises.writeFile('a/p' + i, String(i)))); console.log((await fs.promises.readdir('a')).length); await fs.promises.rm('a', { recursive: true }); fs.renameSync('child.js', 'renamed.js'); fs.symlinkSync('renamed.js', 'link.js'); console.log(fs.readlinkSync('link.js'), fs.realpathSync('link.js').replace(process.cwd(), 'DIR')); }); }); });
END
echo 'process.send({ cwd: require("fs").readFileSync("a/f", "utf8").length }); process.exit(3);' > child.js; chmod +x prog.js; ./prog.js x y; "$node" --input-type=module -e 'import fs from "fs"; console.log(fs.readdirSync(".").length)'; "$node" link.js 2> /dev/null; echo $?; sed -i 1d prog.js
