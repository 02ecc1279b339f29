using System.Runtime.InteropServices;
using CutoffLen.Common;
using CutoffLen.Files;

namespace CutoffLen.Data;

/// <summary>
/// Writes a token cache file front to back in constant memory. <see cref="Commit"/> gives it its name, so a kill at any
/// moment leaves no cache or a whole one.
/// </summary>
internal sealed class TokenCacheWriter : IDisposable
{
    private readonly AtomicFile file;
    private readonly FileStream documents;
    private readonly int vocabularySize;
    private readonly int tokenBytes;
    private Crc32C crc;
    private long tokenCount;
    private long documentStart;
    private int documentCount;
    private long emptyDocuments;

    public TokenCacheWriter(string path, int vocabularySize)
    {
        this.vocabularySize = vocabularySize;
        tokenBytes = vocabularySize <= ushort.MaxValue + 1 ? sizeof(ushort) : sizeof(int);
        documents = new FileStream(
            path + ".documents.partial", FileMode.Create, FileAccess.ReadWrite, FileShare.None, 1 << 16, FileOptions.DeleteOnClose);
        try
        {
            file = new AtomicFile(path, bufferBytes: 1 << 20);
        }
        catch
        {
            documents.Dispose();
            throw;
        }

        file.Stream.Write(new byte[TokenCacheHeader.Size]);
    }

    public long Tokens => tokenCount;

    /// <summary>Adds tokens to the document that is being written.</summary>
    public void Add(IReadOnlyList<int> ids)
    {
        Span<int> block = stackalloc int[1024];
        for (var at = 0; at < ids.Count;)
        {
            var count = Math.Min(block.Length, ids.Count - at);
            for (var i = 0; i < count; i++)
            {
                block[i] = Checked(ids[at++]);
            }

            Write(block[..count]);
        }
    }

    /// <summary>Ends the document that is being written; without tokens it is left out and counted.</summary>
    public void EndDocument(int file, int line, long words, long bytes, long prompt)
    {
        if (tokenCount == documentStart)
        {
            emptyDocuments++;
            return;
        }

        WriteEntry(new CachedDocument(documentStart, file, line, words, bytes, prompt));
        documentStart = tokenCount;
        documentCount = checked(documentCount + 1);
    }

    /// <summary>Completes the file, brings it to the disk and gives it its name.</summary>
    public void Commit(byte[] key)
    {
        WriteEntry(new CachedDocument(tokenCount, 0, 0, 0, 0, 0));
        var fill = new byte[(8 - (int)(tokenCount * tokenBytes % 8)) % 8];
        Append(fill);
        CopyDocuments();
        file.Stream.Position = 0;
        file.Stream.Write(new TokenCacheHeader(key, tokenBytes, documentCount, tokenCount, emptyDocuments, crc.Value).ToBytes());
        file.Commit();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        AtomicFile.Close(documents);
        file.Dispose();
    }

    private int Checked(int id) => (uint)id < (uint)vocabularySize
        ? id
        : throw new InvalidOperationException($"the tokenizer gave the id {id}, but says that its vocabulary has {vocabularySize} tokens");

    private void Write(ReadOnlySpan<int> block)
    {
        tokenCount += block.Length;
        if (tokenBytes == sizeof(int))
        {
            Append(MemoryMarshal.AsBytes(block));
            return;
        }

        Span<ushort> narrow = stackalloc ushort[block.Length];
        for (var i = 0; i < block.Length; i++)
        {
            narrow[i] = (ushort)block[i];
        }

        Append(MemoryMarshal.AsBytes(narrow));
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        crc.Append(bytes);
        file.Stream.Write(bytes);
    }

    private void WriteEntry(CachedDocument document)
    {
        Span<byte> entry = stackalloc byte[CachedDocument.Size];
        document.WriteTo(entry);
        documents.Write(entry);
    }

    private void CopyDocuments()
    {
        documents.Position = 0;
        var buffer = new byte[1 << 16];
        for (var count = documents.Read(buffer); count > 0; count = documents.Read(buffer))
        {
            Append(buffer.AsSpan(0, count));
        }
    }
}
