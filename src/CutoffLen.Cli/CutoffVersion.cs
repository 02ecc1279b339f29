using System.Reflection;

namespace CutoffLen.Cli;

/// <summary>The program's version as <c>cutoff --version</c> prints it.</summary>
internal static class CutoffVersion
{
    /// <summary>Version and, for a build from a Git checkout, the commit.</summary>
    public static string Text { get; } =
        typeof(CutoffVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;
}
