using System.Buffers;
using System.Text;

namespace CutoffLen.Files;

/// <summary>UTF-8 without byte order mark, in which invalid bytes are an error and never replaced.</summary>
public static class StrictUtf8
{
    /// <summary>Throws <see cref="DecoderFallbackException"/> on invalid bytes.</summary>
    public static Encoding Encoding { get; } = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Says where a text stops being UTF-8: file, line, byte offset, byte, what to do. The text is known to be broken.</summary>
    /// <param name="path">The file, for the message.</param>
    /// <param name="stream">The text from its beginning.</param>
    public static string DescribeFault(string path, Stream stream)
    {
        var buffer = new byte[1 << 20];
        var (kept, line, offset) = (0, 1, 0L);
        while (true)
        {
            var count = stream.ReadAtLeast(buffer.AsSpan(kept), buffer.Length - kept, throwOnEndOfStream: false);
            var last = count < buffer.Length - kept;
            var block = buffer.AsSpan(0, kept + count);
            if (offset == 0 && (block.StartsWith<byte>([0xFF, 0xFE]) || block.StartsWith<byte>([0xFE, 0xFF])))
            {
                return $"{path}: the file is UTF-16; convert it with: iconv -f UTF-16 -t UTF-8";
            }

            while (!block.IsEmpty)
            {
                var status = Rune.DecodeFromUtf8(block, out var rune, out var length);
                if (status == OperationStatus.NeedMoreData && !last)
                {
                    break;
                }

                if (status != OperationStatus.Done)
                {
                    return $"{path} line {line}: not UTF-8: byte 0x{block[0]:X2} at offset {offset}; convert the file to UTF-8";
                }

                line += rune.Value == '\n' ? 1 : 0;
                offset += length;
                block = block[length..];
            }

            if (last)
            {
                return $"{path}: not UTF-8; the file changed while it was read";
            }

            kept = block.Length;
            block.CopyTo(buffer);
        }
    }
}
