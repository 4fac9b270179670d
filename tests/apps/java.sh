#!/bin/bash
# Java: channels, maps, locks, threads that append, zip file systems, a child; classes and a jar where they lie.
set -u
command -v java > /dev/null && command -v javac > /dev/null || exit 77
export _JAVA_OPTIONS=-Xshare:auto\ -Djava.io.tmpdir=$TMPDIR\ -Duser.home=$TMPDIR
mkdir src; cat > src/T.java <<'END'
import java.io.IOException;
import java.nio.*; import java.nio.channels.*; import java.nio.file.*; import java.nio.file.attribute.PosixFilePermissions;
import java.util.*; import java.util.concurrent.*; import java.util.zip.*;

public class T {
	static void channel(Path d) throws IOException {
		StandardOpenOption[] how = {StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE};
		try (FileChannel c = FileChannel.open(d.resolve("m"), how); FileLock l = c.lock()) {
			MappedByteBuffer b = c.map(FileChannel.MapMode.READ_WRITE, 0, 65536);
			for (int i = 0; i < 65536; i++) b.put(i, (byte) i);
			b.force();
			ByteBuffer r = ByteBuffer.allocateDirect(4096);
			System.out.println(l.isValid() + " " + c.read(r, 100) + " " + r.get(0));
			c.truncate(1000);
			System.out.println(c.size());
		}
	}
	static long append(Path p) throws IOException {
		for (int i = 0; i < 100; i++)
			Files.writeString(p, "l" + i + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
		return Files.readAllLines(p).size();
	}
	static void threads(Path d) throws Exception {
		ExecutorService e = Executors.newFixedThreadPool(8);
		List<Future<Long>> all = new ArrayList<>();
		for (int t = 0; t < 8; t++) { Path p = d.resolve("t" + t % 4); all.add(e.submit(() -> append(p))); }
		for (Future<Long> f : all) f.get();
		e.shutdown();
		for (int t = 0; t < 4; t++) {
			List<String> lines = Files.readAllLines(d.resolve("t" + t)); // in any order
			Collections.sort(lines);
			Files.write(d.resolve("t" + t), lines);
			System.out.println(lines.size());
		}
	}
	static void zip(Path d) throws IOException {
		try (ZipOutputStream z = new ZipOutputStream(Files.newOutputStream(d.resolve("a.zip")))) {
			z.putNextEntry(new ZipEntry("q")); z.write(new byte[100000]); z.closeEntry();
		}
		try (FileSystem f = FileSystems.newFileSystem(d.resolve("a.zip"))) { System.out.println(Files.size(f.getPath("q"))); }
		Files.delete(d.resolve("a.zip"));
	}
	public static void main(String[] a) throws Exception {
		Path d = Paths.get(a[0]);
		Files.createDirectories(d.resolve("x/y/z"));
		Files.writeString(d.resolve("x/f"), "hello\n");
		channel(d); threads(d); zip(d);
		Files.move(d.resolve("x"), d.resolve("w"), StandardCopyOption.ATOMIC_MOVE);
		try (var s = Files.walk(d)) { s.sorted().forEach(p -> System.out.println(d.relativize(p))); }
		Files.setPosixFilePermissions(d.resolve("w/f"), PosixFilePermissions.fromString("rw-r-----"));
		System.out.println(Files.getPosixFilePermissions(d.resolve("w/f")));
		Process p = new ProcessBuilder("cat", "w/f").directory(d.toFile()).redirectOutput(d.resolve("out").toFile()).start();
		System.out.println(p.waitFor() + " " + Files.readString(d.resolve("out")).trim());
		try { Object o = null; o.hashCode(); } catch (NullPointerException n) { System.out.println("signals are Java's"); }
		for (int i = 0; i < 20; i++) { byte[] g = new byte[8 << 20]; }
		System.gc();
	}
}
END
exec 2> >(grep -v '^Picked up' >&2)
javac -d classes src/T.java; echo "compiled: $?"
java -cp classes T one; echo "classes: $?"
jar cf t.jar -C classes T.class && java -cp t.jar T two | tail -n 2; echo "jar: $?"
rm -r t.jar classes
