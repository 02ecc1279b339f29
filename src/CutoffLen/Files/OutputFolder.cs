using CutoffLen.Common;

namespace CutoffLen.Files;

/// <summary>The folder of --out.</summary>
public static class OutputFolder
{
    /// <summary>Makes it if it is not there.</summary>
    /// <exception cref="UserException">It is a file, or the system refuses.</exception>
    public static void Create(string path)
    {
        if (File.Exists(path))
        {
            throw new UserException($"--out {path}: is a file; give a folder");
        }

        try
        {
            Directory.CreateDirectory(path);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"--out {path}: cannot be made: {fault.Message}", fault);
        }
    }
}
