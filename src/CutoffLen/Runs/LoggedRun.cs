using CutoffLen.Common;
using CutoffLen.Configuration;

namespace CutoffLen.Runs;

/// <summary>A fine-tuning run as its folder tells it, finished or not.</summary>
/// <param name="Folder">As given.</param>
/// <param name="IsFinished">Whether the finished model is there.</param>
/// <param name="Settings">Every key of its configuration but the folder's, with the value as config.yaml has it.</param>
/// <param name="Steps">The logged steps.</param>
/// <param name="Evaluations">The measurements of <c>eval_steps</c>.</param>
public sealed record LoggedRun(
    string Folder, bool IsFinished, IReadOnlyDictionary<string, string> Settings, IReadOnlyList<LogLine> Steps, IReadOnlyList<EvaluationLine> Evaluations)
{
    /// <summary>The last logged step; null before the first.</summary>
    public LogLine? LastStep => Steps.Count == 0 ? null : Steps[^1];

    /// <summary>The last measurement; null before the first.</summary>
    public EvaluationSummary? LastEvaluation => Evaluations.Count == 0 ? null : Evaluations[^1].Eval;

    /// <summary>The runs in folders: each is a run's, or has runs' folders somewhere in it, as a sweep's has.</summary>
    /// <exception cref="UserException">A folder is not there or has no run in it, or a run's configuration cannot be read.</exception>
    public static IReadOnlyList<LoggedRun> In(IEnumerable<string> folders) => [.. folders.SelectMany(Find).Distinct().Select(Read)];

    private static IEnumerable<string> Find(string folder)
    {
        if (!Directory.Exists(folder))
        {
            throw new UserException($"{folder}: no such folder; give folders of runs, or folders with such folders in them");
        }

        IEnumerable<string> found = IsRun(folder) ? [folder] : [.. Directory.EnumerateDirectories(folder, "*", SearchOption.AllDirectories).Where(IsRun).Order(StringComparer.Ordinal)];
        return found.Any() ? found : throw new UserException($"{folder}: holds no run; 'cutoff finetune --out DIR' leaves {RunFolder.ConfigFile} and {RunFolder.LogFile} in a run's folder");
    }

    private static bool IsRun(string folder) => File.Exists(Path.Combine(folder, RunFolder.ConfigFile)) && File.Exists(Path.Combine(folder, RunFolder.LogFile));

    private static LoggedRun Read(string folder)
    {
        var run = new RunFolder(folder);
        var config = RunConfigReader.Resolve(Path.Combine(folder, RunFolder.ConfigFile)).Config;
        var settings = ConfigKeys.All.Where(key => key.Name != "output_dir").ToDictionary(key => key.Name, key => RunConfigWriter.Value(key, config));
        return new LoggedRun(folder, Directory.Exists(run.Final), settings, run.Lines<LogLine>("loss"), run.Lines<EvaluationLine>("eval"));
    }
}
