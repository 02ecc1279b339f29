using System.Text;
using CutoffLen.Common;
using CutoffLen.Files;

namespace CutoffLen.Cli.Interaction;

/// <summary>Text that must be UTF-8: nothing is replaced silently.</summary>
internal static class Utf8Text
{
    /// <summary>A file's text without a byte order mark.</summary>
    /// <exception cref="UserException">The file is not there, can't be read, or is not UTF-8.</exception>
    public static string Read(string path)
    {
        try
        {
            using var stream = File.OpenRead(path);
            return Read(stream, path);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path}: cannot be read: {fault.Message}", fault);
        }
    }

    /// <summary>All that comes on standard input.</summary>
    public static string ReadStandardInput()
    {
        using var stream = Console.OpenStandardInput();
        return Read(stream, "standard input");
    }

    private static string Read(Stream stream, string source)
    {
        try
        {
            using var reader = new StreamReader(stream, StrictUtf8.Encoding, detectEncodingFromByteOrderMarks: false);
            var text = reader.ReadToEnd();
            return text.StartsWith('\uFEFF') ? text[1..] : text;
        }
        catch (DecoderFallbackException fault)
        {
            throw new UserException($"{source}: not UTF-8; convert it with: iconv -f ... -t UTF-8", fault);
        }
    }
}
