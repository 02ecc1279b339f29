using ICSharpCode.SharpZipLib.GZip;
using ZstdSharp;

namespace CutoffLen.Data;

/// <summary>
/// The bytes of a compressed file, read once from front to end. A file that is damaged or ends early is an
/// <see cref="InvalidDataException"/> that says so, whatever the library throws. (.NET's own gzip takes a cut file for a whole one.)
/// </summary>
internal sealed class DecompressedStream : Stream
{
    private readonly Stream file;
    private readonly Stream bytes;
    private readonly string kind;

    /// <summary>Takes over a file.</summary>
    public DecompressedStream(Stream file, DataCompression compression)
    {
        this.file = file;
        (bytes, kind) = compression == DataCompression.Gzip
            ? ((Stream)new GZipInputStream(file), "gzip")
            : (new DecompressionStream(file, leaveOpen: false), "Zstandard");
    }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        try
        {
            // Even compressed nothing has a header.
            return file.Length > 0 ? bytes.Read(buffer) : throw new EndOfStreamException("the file is empty");
        }
        catch (Exception fault) when (fault is EndOfStreamException or not IOException)
        {
            var place = file.Position == file.Length ? "at its end" : $"before byte {file.Position}";
            throw new InvalidDataException($"damaged or cut {kind} data {place}: {fault.Message}", fault);
        }
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            bytes.Dispose();
        }

        base.Dispose(disposing);
    }
}
