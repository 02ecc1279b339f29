using CutoffLen.Common;

namespace CutoffLen.Evaluation.Ruler;

/// <summary>RULER's tasks by name, those that need no data set: eleven of its thirteen.</summary>
public static class RulerTasks
{
    /// <summary>RULER's number of needles in the tasks with several.</summary>
    public const int StandardNeedles = 4;

    /// <summary>
    /// All tasks, in RULER's order. Where RULER has essays and none is given, the tasks run over noise, and their names end in
    /// -noise. Another number of needles is in the name too.
    /// </summary>
    /// <param name="essay">Running text as haystack.</param>
    /// <param name="needles">Keys of multikey_1, values of multivalue, queries of multiquery.</param>
    public static IReadOnlyList<RulerTask> Of(Essay? essay = null, int needles = StandardNeedles)
    {
        var (haystack, over) = essay is null ? (Haystack.Noise, "-noise") : (Haystack.Essay, "");
        var many = needles == StandardNeedles ? over : $"-n{needles}{over}";
        return
        [
            new NeedleTask("niah_single_1", Haystack.Noise),
            new NeedleTask($"niah_single_2{over}", haystack, Essay: essay),
            new NeedleTask($"niah_single_3{over}", haystack, Value: NeedleText.Uuids, Essay: essay),
            new NeedleTask($"niah_multikey_1{many}", haystack, Keys: needles, Essay: essay),
            new NeedleTask("niah_multikey_2", Haystack.Needles),
            new NeedleTask("niah_multikey_3", Haystack.Needles, NeedleText.Uuids, NeedleText.Uuids),
            new NeedleTask($"niah_multivalue{many}", haystack, Values: needles, Essay: essay),
            new NeedleTask($"niah_multiquery{many}", haystack, Keys: needles, Queries: needles, Essay: essay),
            new VariableTracking(),
            new CommonWords(),
            new FrequentWords(),
        ];
    }

    /// <summary>RULER's name of a task, without an ending that says what differs.</summary>
    public static string PlainName(RulerTask task) => task.Name.Split('-')[0];

    /// <summary>The tasks of these names of RULER's; all where none is named.</summary>
    /// <exception cref="UserException">A name that is none.</exception>
    public static IReadOnlyList<RulerTask> Select(IReadOnlyList<RulerTask> tasks, IReadOnlyCollection<string> names)
    {
        var known = tasks.Select(PlainName).ToList();
        var wrong = names.FirstOrDefault(name => !known.Contains(name));
        return wrong is null
            ? [.. tasks.Where(task => names.Count == 0 || names.Contains(PlainName(task)))]
            : throw new UserException($"unknown task '{wrong}'{Spelling.Suggest(wrong, known)}; the tasks are {string.Join(", ", known)}");
    }
}
