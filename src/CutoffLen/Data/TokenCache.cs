using System.IO.MemoryMappedFiles;
using CutoffLen.Common;

namespace CutoffLen.Data;

/// <summary>
/// The tokens of a set of documents, without special tokens, in a memory-mapped file. Any part of any document is read
/// without loading the rest. Reading is safe from several threads.
/// </summary>
public sealed unsafe class TokenCache : IDisposable
{
    private readonly MemoryMappedFile map;
    private readonly MemoryMappedViewAccessor view;
    private readonly byte* content;
    private readonly TokenCacheHeader header;
    private readonly IReadOnlyList<DataFile> files;
    private bool closed;

    private TokenCache(MemoryMappedFile map, MemoryMappedViewAccessor view, TokenCacheHeader header, IReadOnlyList<DataFile> files)
    {
        (this.map, this.view, this.header, this.files) = (map, view, header, files);
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref content);
    }

    /// <summary>Documents, those without text not counted.</summary>
    public int Documents => (int)header.Documents;

    /// <summary>Tokens of all documents together.</summary>
    public long Tokens => header.Tokens;

    /// <summary>Documents that were left out because they are empty or all white space.</summary>
    public long EmptyDocuments => header.EmptyDocuments;

    /// <summary>Tokens of a document.</summary>
    public long Length(int document) => Entry(document + 1).Start - Entry(document).Start;

    /// <summary>Index of a document's first token among the tokens of all documents.</summary>
    public long Start(int document) => Entry(document).Start;

    /// <summary>Copies tokens of a document, from <paramref name="offset"/> on, as many as fit the span.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The document has fewer.</exception>
    public void Read(int document, long offset, Span<int> tokens)
    {
        var start = Entry(document).Start;
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start + offset + tokens.Length, Entry(document + 1).Start, nameof(tokens));
        var source = content + TokenCacheHeader.Size + ((start + offset) * header.TokenBytes);
        if (header.TokenBytes == sizeof(int))
        {
            new ReadOnlySpan<int>(source, tokens.Length).CopyTo(tokens);
        }
        else
        {
            Widen(new ReadOnlySpan<ushort>(source, tokens.Length), tokens);
        }
    }

    /// <summary>Where a document came from: the file, and the line or row.</summary>
    public string Describe(int document)
    {
        var (file, line) = Source(document);
        return file.Describe(line);
    }

    /// <summary>The file and the line, from 1, where a document begins.</summary>
    public (DataFile File, int Line) Source(int document) => (files[Entry(document).File], Entry(document).Line);

    /// <summary>Tokens at a document's start that are its prompt; 0 for text.</summary>
    public long Prompt(int document) => Entry(document).Prompt;

    /// <summary>Pieces of a document (of a record, its completion) between white space, as the lm-evaluation-harness counts words.</summary>
    public long Words(int document) => Entry(document).Words;

    /// <summary>UTF-8 bytes of a document; of a record, its completion.</summary>
    public long Bytes(int document) => Entry(document).Bytes;

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!closed)
        {
            closed = true;
            view.SafeMemoryMappedViewHandle.ReleasePointer();
            view.Dispose();
            map.Dispose();
        }
    }

    /// <summary>Opens a cache file after checking every byte of it; null when it is not whole or not for this key.</summary>
    internal static TokenCache? TryOpen(string path, byte[] key, IReadOnlyList<DataFile> files)
    {
        var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, bufferSize: 0);
        if (WholeHeader(stream, key) is not { } header)
        {
            stream.Dispose();
            return null;
        }

        var map = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false);
        var cache = new TokenCache(map, map.CreateViewAccessor(0, header.FileLength, MemoryMappedFileAccess.Read), header, files);
        if (cache.HasWholeTable())
        {
            return cache;
        }

        cache.Dispose();
        return null;
    }

    /// <summary>Whether documents follow each other through all tokens, each from a file that is there: no reading can leave the map.</summary>
    private bool HasWholeTable()
    {
        var start = 0L;
        for (var document = 0; document <= Documents; document++)
        {
            var entry = Entry(document);
            if (entry.Start < start || entry.Start > Tokens || (document < Documents && (uint)entry.File >= files.Count))
            {
                return false;
            }

            start = entry.Start;
        }

        return start == Tokens;
    }

    private static TokenCacheHeader? WholeHeader(FileStream stream, byte[] key)
    {
        var buffer = new byte[1 << 20];
        var count = stream.ReadAtLeast(buffer.AsSpan(0, TokenCacheHeader.Size), TokenCacheHeader.Size, throwOnEndOfStream: false);
        var header = TokenCacheHeader.FromBytes(buffer.AsSpan(0, count));
        if (header is null || !header.Key.AsSpan().SequenceEqual(key) || stream.Length != header.FileLength)
        {
            return null;
        }

        var crc = default(Crc32C);
        while ((count = stream.Read(buffer)) > 0)
        {
            crc.Append(buffer.AsSpan(0, count));
        }

        return crc.Value == header.Checksum ? header : null;
    }

    private static void Widen(ReadOnlySpan<ushort> from, Span<int> to)
    {
        for (var i = 0; i < to.Length; i++)
        {
            to[i] = from[i];
        }
    }

    private CachedDocument Entry(int index)
    {
        // Reading memory that is no longer mapped would end the process.
        ObjectDisposedException.ThrowIf(closed, this);
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(index, Documents);
        var at = TokenCacheHeader.Size + header.TokensLength + ((long)index * CachedDocument.Size);
        return CachedDocument.ReadFrom(new ReadOnlySpan<byte>(content + at, CachedDocument.Size));
    }
}
