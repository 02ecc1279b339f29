using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using CutoffLen.Common;
using CutoffLen.Files;
using CutoffLen.Tokenization;

namespace CutoffLen.Data;

/// <summary>How far the making of a token cache is.</summary>
/// <param name="Characters">Characters tokenized.</param>
/// <param name="Tokens">Tokens made of them.</param>
/// <param name="TotalBytes">Bytes of all files, for an estimate of what is left.</param>
public readonly record struct TokenizingProgress(long Characters, long Tokens, long TotalBytes);

/// <summary>
/// The folder of token caches. The key of a cache is a SHA-256 over the files' contents, in order, the field of their text, and
/// the tokenizer's fingerprint; names and times of files don't matter. Of several runs that need a cache one makes it, the others wait.
/// </summary>
/// <param name="folder">The folder, made when needed.</param>
public sealed class TokenCacheFolder(string folder)
{
    /// <summary><c>cutoff/tokens</c> in the user's cache folder: XDG_CACHE_HOME, else <c>~/.cache</c>.</summary>
    public static string DefaultPath => UserCache.Folder("tokens");

    /// <summary>The tokens of the files: from the cache, or made now and cached.</summary>
    /// <param name="files">What to read, in order.</param>
    /// <param name="encoder">The tokenizer.</param>
    /// <param name="say">Told in a sentence what is waited for or mended.</param>
    /// <param name="progress">Told how far tokenizing is.</param>
    /// <param name="most">Only the first so many documents with text; null for all.</param>
    /// <param name="completionEnd">The token put after a completion that does not end with it; null for none.</param>
    /// <param name="stop">Stops the work; nothing is left behind.</param>
    /// <exception cref="UserException">A file cannot be read, the folder cannot be written, or no text is in the files.</exception>
    public TokenCache Open(
        IReadOnlyList<DataFile> files, ITextEncoder encoder, Action<string>? say = null,
        IProgress<TokenizingProgress>? progress = null, int? most = null, int? completionEnd = null, CancellationToken stop = default)
    {
        var contents = files.Select(file => FileContent.Of(file, stop)).ToList();
        var key = Key(contents, encoder, most, completionEnd);
        var path = Path.Combine(folder, Convert.ToHexStringLower(key) + ".tokens");
        try
        {
            var cache = Existing(path, key, files, say: null) ?? Make(path, key, contents, encoder, say, progress, most, completionEnd, stop);
            if (cache.Documents > 0)
            {
                return cache;
            }

            cache.Dispose();
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{folder}: cannot keep the token cache there: {fault.Message}; choose another folder with --cache-dir", fault);
        }

        var others = files.Count > 1 ? $" and {files.Count - 1} more files" : "";
        throw new UserException($"{files[0].Path}{others}: no text; all documents are empty");
    }

    private static byte[] Key(IEnumerable<FileContent> contents, ITextEncoder encoder, int? most, int? completionEnd)
    {
        var text = new StringBuilder($"tokens 3 {encoder.VocabularySize} {encoder.Fingerprint} {most} {completionEnd}\n");
        foreach (var content in contents)
        {
            text.Append(content.File.Format).Append(content.File.Compression is var kind and not DataCompression.None ? $" {kind}" : "").Append(' ').Append(Convert.ToHexStringLower(content.Sha256));
            text.Append(content.File is { Format: not DataFormat.Text, TextField: not DataFile.StandardTextField and var field } ? $" {JsonSerializer.Serialize(field)}" : "").Append('\n');
        }

        return SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString()));
    }

    private static TokenCache? Existing(string path, byte[] key, IReadOnlyList<DataFile> files, Action<string>? say)
    {
        if (!File.Exists(path))
        {
            return null;
        }

        var cache = TokenCache.TryOpen(path, key, files);
        if (cache is null)
        {
            say?.Invoke($"{path} is damaged and is made anew");
        }

        return cache;
    }

    private TokenCache Make(
        string path, byte[] key, IReadOnlyList<FileContent> contents, ITextEncoder encoder, Action<string>? say,
        IProgress<TokenizingProgress>? progress, int? most, int? completionEnd, CancellationToken stop)
    {
        Directory.CreateDirectory(folder);
        using var alone = LockFile.Hold(path + ".lock", () => say?.Invoke("another run is tokenizing the same files; waiting for it"), stop);
        DataFile[] files = [.. contents.Select(content => content.File)];
        if (Existing(path, key, files, say) is { } madeMeanwhile)
        {
            return madeMeanwhile;
        }

        using (var writer = new TokenCacheWriter(path, encoder.VocabularySize))
        {
            new Tokenizing(encoder, completionEnd, contents.Sum(content => content.Length), progress).Write(Documents.Read(files, most), writer, stop);
            foreach (var content in contents)
            {
                content.ThrowIfChanged();
            }

            writer.Commit(key);
        }

        return TokenCache.TryOpen(path, key, files)
            ?? throw new IOException($"{path} does not read back as it was written");
    }

    /// <summary>A file, and what was in it when the run began.</summary>
    private sealed record FileContent(DataFile File, byte[] Sha256, long Length, DateTime Written)
    {
        public static FileContent Of(DataFile file, CancellationToken stop)
        {
            stop.ThrowIfCancellationRequested();
            try
            {
                using var stream = System.IO.File.OpenRead(file.Path);
                var (length, written) = (stream.Length, System.IO.File.GetLastWriteTimeUtc(file.Path));
                return new(file, SHA256.HashData(stream), length, written);
            }
            catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
            {
                throw new UserException($"{file.Path}: cannot be read: {fault.Message}", fault);
            }
        }

        public void ThrowIfChanged()
        {
            if (JsonFile.LengthOf(File.Path) != Length || System.IO.File.GetLastWriteTimeUtc(File.Path) != Written)
            {
                throw new UserException($"{File.Path}: the file changed while it was read; start again when it is complete");
            }
        }
    }
}
